//! What only the asynchronous engine promises, shown on an inner engine whose
//! runs end when the test says so.

use e4::engine::bundle::Bundle;
use e4::engine::offload::Offload;
use e4::engine::{Buffer, Engine, EngineError, RunError, Segment, SegmentIo};
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What a run is told to do.
#[derive(Debug)]
enum Order {
    Succeed,
    Fail,
    Panic,
}

/// An engine whose runs wait for an [`Order`].
#[derive(Debug)]
struct Obedient {
    orders: Arc<Mutex<Receiver<Order>>>,
}

#[derive(Debug)]
struct ObedientSegment {
    orders: Arc<Mutex<Receiver<Order>>>,
    io: Option<SegmentIo>,
}

impl Engine for Obedient {
    fn name(&self) -> &'static str {
        "obedient"
    }
    fn is_asynchronous(&self) -> bool {
        false
    }
    fn buffer(&self, len: usize) -> Result<Buffer, EngineError> {
        Ok(Buffer::Host(vec![0.0; len]))
    }
    fn load(&self, _: &Bundle, _: usize) -> Result<Box<dyn Segment>, EngineError> {
        let orders = Arc::clone(&self.orders);
        Ok(Box::new(ObedientSegment { orders, io: None }))
    }
}

impl Segment for ObedientSegment {
    fn enqueue(&mut self, io: SegmentIo) -> Result<(), RunError> {
        self.io = Some(io);
        Ok(())
    }
    fn wait(&mut self) -> Result<SegmentIo, RunError> {
        let orders = self.orders.lock().expect("one user at a time");
        let order = orders
            .recv_timeout(Duration::from_secs(60))
            .expect("an order");
        let mut io = self.io.take().expect("a run");
        match order {
            Order::Succeed => {
                io.pooled
                    .write_from(&vec![7.0; io.pooled.len()])
                    .expect("writes");
                Ok(io)
            }
            Order::Fail => Err(RunError {
                error: EngineError::Run {
                    segment: 0,
                    reason: "as told".to_owned(),
                },
                io: Some(io),
            }),
            Order::Panic => panic!("as told"),
        }
    }
}

/// The engine, segment 0 with buffers, and the way to give orders.
fn offloaded() -> (Sender<Order>, Box<dyn Segment>, SegmentIo) {
    let (give, orders) = channel();
    let orders = Arc::new(Mutex::new(orders));
    let engine = Offload::new(Obedient { orders });
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("engines/tiny-e2");
    let bundle = Bundle::open(dir).unwrap_or_else(|error| panic!("{error}"));
    let segment = engine.load(&bundle, 0).expect("loads");
    let io = SegmentIo::new(&engine, &bundle.manifest().segments[0]).expect("buffers");
    (give, segment, io)
}

fn pooled(io: &SegmentIo) -> Vec<f32> {
    let mut values = vec![0.0; io.pooled.len()];
    io.pooled.read_into(&mut values).expect("reads");
    values
}

/// The order is given after `enqueue` has come back: were the run done inside
/// it, the run would wait for an order that never comes.
#[test]
fn the_caller_goes_on_while_a_run_is_under_way() {
    let (give, mut segment, io) = offloaded();
    segment.enqueue(io).expect("starts");
    give.send(Order::Succeed).expect("the worker listens");
    let io = segment.wait().expect("ends");
    assert!(pooled(&io).iter().all(|v| *v == 7.0));
}

#[test]
fn a_failed_run_gives_the_buffers_back_and_the_next_one_works() {
    let (give, mut segment, io) = offloaded();
    segment.enqueue(io).expect("starts");
    give.send(Order::Fail).expect("the worker listens");
    let failed = segment.wait().expect_err("fails");
    assert!(failed.to_string().contains("as told"), "{failed}");
    segment
        .enqueue(failed.io.expect("buffers"))
        .expect("starts");
    give.send(Order::Succeed).expect("the worker listens");
    assert_eq!(pooled(&segment.wait().expect("ends"))[0], 7.0);
}

#[test]
fn a_lost_worker_is_an_error_and_not_a_hang() {
    let (give, mut segment, io) = offloaded();
    segment.enqueue(io).expect("starts");
    give.send(Order::Panic).expect("the worker listens");
    let lost = segment.wait().expect_err("the worker is gone");
    assert!(lost.to_string().contains("worker"), "{lost}");
    assert!(lost.io.is_none());
    let (_, _, io) = offloaded();
    let refused = segment.enqueue(io).expect_err("still gone");
    assert!(refused.io.is_some());
    drop(segment);
}
