//! The one table of settings. Flags, their help, the file's keys, the printed
//! config and error suggestions all come from it.

use super::Config;
use super::value::{Setting, Value};

/// One setting: a key of the file and a flag of `e4 run`.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Dotted name in the file.
    pub name: &'static str,
    /// Flag without its dashes.
    pub flag: &'static str,
    /// True when the short help shows it.
    pub common: bool,
    /// What it does, for help and the printed config.
    pub doc: &'static str,
    pub(super) set: fn(&mut Config, &Value<'_>) -> Result<(), String>,
    pub(super) show: fn(&Config) -> Option<String>,
    hint: fn(&Config) -> Option<&'static str>,
}

impl Key {
    /// The key that is called `name` in the file.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        KEYS.iter().find(|key| key.name == name)
    }

    /// What stands for the value in help; `None` for a switch.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        (self.hint)(&Config::default())
    }

    /// The table of the file it stands in, and its name there.
    #[must_use]
    pub fn split(&self) -> (&'static str, &'static str) {
        self.name.rsplit_once('.').unwrap_or(("", self.name))
    }
}

fn hint_of<T: Setting>(_: &T) -> Option<&'static str> {
    T::hint()
}

macro_rules! keys {
    ($($seen:ident $name:literal $flag:literal $($field:ident).+ => $doc:literal)+) => {
        &[$(Key {
            name: $name,
            flag: $flag,
            common: keys!(@ $seen),
            doc: $doc,
            set: |config, value| Setting::read(value).map(|v| config.$($field).+ = v),
            show: |config| config.$($field).+.show(),
            hint: |config| hint_of(&config.$($field).+),
        }),+]
    };
    (@ common) => { true };
    (@ rare) => { false };
}

/// Every setting, in the order of the printed config.
pub static KEYS: &[Key] = keys! {
    common "source.kind" "source" source.kind =>
        "Where frames come from: clip files, a camera, or generated scenes that stand in for one."
    common "source.path" "clip" source.path =>
        "A clip (Y4M, MJPEG AVI, raw; anything else through ffmpeg) or a folder of clips with or without labels.csv. Unset: the clips that ship with e4."
    rare "source.loop" "loop" source.repeat =>
        "Start over at the end of the clips."
    common "source.frames" "frames" source.frames =>
        "End the run after this many captured frames. Unset: at the end of the source."
    common "source.pace" "pace" source.pace =>
        "fast: as fast as frames can be had; realtime: at the rate of their timestamps; auto: clips fast, the generator in real time."
    rare "source.policy" "drop-policy" source.policy =>
        "While infer is busy: block makes capture wait, newest lets a newer frame replace the waiting one; auto: newest for live sources, else block."
    rare "source.sample" "sample" source.sample =>
        "Sample the source at the frame interval that the bundle was trained on; false: infer every frame."
    rare "source.raw_format" "raw-format" source.raw_format =>
        "Pixel format of a raw clip."
    rare "source.raw_width" "raw-width" source.raw_width =>
        "Width of a raw clip in pixels."
    rare "source.raw_height" "raw-height" source.raw_height =>
        "Height of a raw clip in pixels."
    rare "source.raw_fps" "raw-fps" source.raw_fps =>
        "Frames per second of a raw clip."
    rare "source.ffmpeg" "ffmpeg" source.ffmpeg =>
        "The ffmpeg program that decodes what e4 does not read by itself."
    rare "source.ffmpeg_timeout_s" "ffmpeg-timeout" source.ffmpeg_timeout_s =>
        "Seconds without a frame after which ffmpeg counts as hanging."
    common "source.camera.device" "device" source.camera.device =>
        "The camera: a path (/dev/video0, /dev/v4l/by-id/...), or its card name, bus, serial number or by-id name; e4 cameras lists them. Unset: the first there is."
    rare "source.camera.formats" "camera-formats" source.camera.formats =>
        "Pixel formats of the camera, the best first, as [\"nv12\", \"mjpg\"] here or nv12,mjpg on the command line; the first that comes at the wished size and rate is taken. auto: all that can be used."
    rare "source.camera.width" "camera-width" source.camera.width =>
        "Width of the camera's frames in pixels."
    rare "source.camera.height" "camera-height" source.camera.height =>
        "Height of the camera's frames in pixels."
    rare "source.camera.fps" "camera-fps" source.camera.fps =>
        "Frames per second to ask the camera for."
    rare "source.camera.exposure" "exposure" source.camera.exposure =>
        "Exposure time in microseconds, or auto. Unset: as the camera has it. Given back at the end, like gain and power line."
    rare "source.camera.gain" "gain" source.camera.gain =>
        "Gain in the camera's own unit, or auto. Unset: as the camera has it."
    rare "source.camera.power_line" "power-line" source.camera.power_line =>
        "Frequency of the mains whose flicker the camera filters. Unset: as the camera has it."
    rare "source.camera.wait_s" "camera-wait" source.camera.wait_s =>
        "Seconds to wait at the start for a camera that is not there yet or in use; once it has streamed it is waited for without end."
    rare "source.generator.width" "width" source.generator.width =>
        "Width of generated frames in pixels."
    rare "source.generator.height" "height" source.generator.height =>
        "Height of generated frames in pixels."
    rare "source.generator.fps" "fps" source.generator.fps =>
        "Generated frames per second."
    rare "source.generator.seed" "seed" source.generator.seed =>
        "Seed of the generated scenes; equal seeds draw equal scenes."
    rare "source.generator.difficulty" "difficulty" source.generator.difficulty =>
        "Clutter, occlusion, noise and shake, from 0 to 1. Unset: drawn anew for every scene."
    rare "source.generator.format" "format" source.generator.format =>
        "Pixel format of generated frames."
    rare "engine.kind" "engine" engine.kind =>
        "What runs the network's segments. auto: native, or tract for a segment with a node that native does not know, which is said once; native: refuse such a segment; tract: all on tract; ort: all on ONNX Runtime, in an e4 that was built with `--features ort`; cpu: the same as auto."
    common "bundle.path" "bundle" bundle.path =>
        "The bundle: network, heads and thresholds. Unset: engines/mobilenetv2-e5, looked for beside the executable, in the source tree it was built from and in the current folder."
    common "exit.policy" "exit-policy" exit.policy =>
        "gates: leave at the first exit whose gate says so; always:K: at exit K, counted from 1; softmax:P: at the first exit whose top class reaches probability P, or the bundle's own one without P."
    rare "pipeline.threads" "threads" pipeline.threads =>
        "Which stages share a thread, as [[\"capture\"], [\"infer\", \"gate\"], [\"sink\"]] here or capture,infer+gate,sink on the command line; auto: four threads, or one on a single core."
    rare "pipeline.slots" "slots" pipeline.slots =>
        "Frames that may be under way at once."
    rare "pipeline.wait" "wait" pipeline.wait =>
        "How a stage that runs dry waits: hybrid sleeps until shortly before the predicted frame and then spins briefly, spin never leaves its core, park sleeps until woken."
    rare "pipeline.speculate" "speculate" pipeline.speculate =>
        "Start the next segment while the gate is still thinking, on engines that run beside the CPU."
    rare "pipeline.resize" "resize" pipeline.resize =>
        "How frames are shrunk to the network's input. triangle: weighted over twice an output's width, as the shipped bundle was trained; area: the mean of what an output covers; bilinear: the nearest four samples, fastest, aliases when shrinking by more than 2."
    rare "pipeline.watchdog_ms" "watchdog-ms" pipeline.watchdog_ms =>
        "Milliseconds without progress after which a stage counts as stalled and the run fails; 0: never."
    rare "pipeline.lock_memory" "lock-memory" pipeline.lock_memory =>
        "Keep the whole process in memory, so that no stage faults on a page that the kernel thought cold; needs CAP_IPC_LOCK or an unlimited memlock limit. Unset: where rt.class asks for real time."
    rare "pipeline.on_error" "on-error" pipeline.on_error =>
        "When the host refuses a core, a scheduling class, locked memory or shallow idle states: warn says so once and goes on, strict refuses to start."
    common "rt.class" "rt-class" rt.class =>
        "Scheduling class of every thread whose stage is given none. fifo and rr ask for real time: priorities capture > gate > sink > infer, memory locked, idle states shallow."
    rare "rt.cpu_dma_latency" "cpu-dma-latency" rt.cpu_dma_latency =>
        "Longest time in microseconds that a core may take to leave an idle state, held through /dev/cpu_dma_latency for the run; 0: never idle, which costs power; auto: 0 where rt.class asks for real time, else off."
    rare "rt.timer_slack_ns" "timer-slack-ns" rt.timer_slack_ns =>
        "Nanoseconds that the kernel may let a timed sleep of a thread of class other run over; 0: the kernel's default."
    rare "rt.prefault_heap_mib" "prefault-heap-mib" rt.prefault_heap_mib =>
        "MiB of heap that each thread touches at start where memory is locked, so that its allocations fault on none of it."
    rare "stage.capture.core" "capture-core" stage.capture.core =>
        "Core of the capture thread; any: not pinned; auto: chosen by the number of cores."
    rare "stage.capture.class" "capture-class" stage.capture.class =>
        "Scheduling class of the capture thread. Unset: as rt.class says."
    rare "stage.capture.priority" "capture-priority" stage.capture.priority =>
        "Its priority under fifo and rr, 1 to 99. Unset: 40."
    rare "stage.capture.wait" "capture-wait" stage.capture.wait =>
        "How the capture thread waits. Unset: as pipeline.wait says."
    rare "stage.capture.on_error" "capture-on-error" stage.capture.on_error =>
        "When the host refuses the capture thread its core or class. Unset: as pipeline.on_error says."
    rare "stage.infer.core" "infer-core" stage.infer.core =>
        "Core of the infer thread; any: not pinned; auto: chosen by the number of cores."
    rare "stage.infer.class" "infer-class" stage.infer.class =>
        "Scheduling class of the infer thread. Unset: as rt.class says."
    rare "stage.infer.priority" "infer-priority" stage.infer.priority =>
        "Its priority under fifo and rr, 1 to 99. Unset: 25."
    rare "stage.infer.wait" "infer-wait" stage.infer.wait =>
        "How the infer thread waits. Unset: as pipeline.wait says."
    rare "stage.infer.on_error" "infer-on-error" stage.infer.on_error =>
        "When the host refuses the infer thread its core or class. Unset: as pipeline.on_error says."
    rare "stage.gate.core" "gate-core" stage.gate.core =>
        "Core of the gate thread; any: not pinned; auto: chosen by the number of cores."
    rare "stage.gate.class" "gate-class" stage.gate.class =>
        "Scheduling class of the gate thread. Unset: as rt.class says."
    rare "stage.gate.priority" "gate-priority" stage.gate.priority =>
        "Its priority under fifo and rr, 1 to 99. Unset: 35."
    rare "stage.gate.wait" "gate-wait" stage.gate.wait =>
        "How the gate thread waits. Unset: as pipeline.wait says."
    rare "stage.gate.on_error" "gate-on-error" stage.gate.on_error =>
        "When the host refuses the gate thread its core or class. Unset: as pipeline.on_error says."
    rare "stage.sink.core" "sink-core" stage.sink.core =>
        "Core of the sink thread; any: not pinned; auto: chosen by the number of cores."
    rare "stage.sink.class" "sink-class" stage.sink.class =>
        "Scheduling class of the sink thread. Unset: as rt.class says."
    rare "stage.sink.priority" "sink-priority" stage.sink.priority =>
        "Its priority under fifo and rr, 1 to 99. Unset: 30."
    rare "stage.sink.wait" "sink-wait" stage.sink.wait =>
        "How the sink thread waits. Unset: as pipeline.wait says."
    rare "stage.sink.on_error" "sink-on-error" stage.sink.on_error =>
        "When the host refuses the sink thread its core or class. Unset: as pipeline.on_error says."
    rare "clocks.runtime_dir" "runtime-dir" clocks.runtime_dir =>
        "Where it stands what the clocks were before e4 touched them, so that the next start or `e4 restore` can give them back."
    rare "clocks.sysfs_root" "sysfs-root" clocks.sysfs_root =>
        "Root of the tree with sys/devices/system/cpu/cpufreq and the other clocks; another than / stands in for the kernel's."
    common "power.sensor" "power-sensor" power.sensor =>
        "What measures energy. auto: the best sensor that can be read, or none; any: the best, and its lack is an error; ina3221, rapl, acpi, hwmon: a sensor of this kind, and its lack is an error; none: no energy."
    rare "power.board" "board" power.board =>
        "The board, whose power rails e4 then knows: nano, tx2, xavier-nx, agx-xavier, orin-nano, agx-orin. Unset: as the device tree says."
    rare "power.rails" "power-rails" power.rails =>
        "Labels of the sensor's rails that add up to what is to be measured, as VDD_IN or CPU+GPU. Unset: those of the board, or every rail of an unknown one."
    rare "power.per_frame" "frame-energy" power.per_frame =>
        "Hold each JSON line back until the energy of its frame is known (about two windows of the sensor; the line comes with the next frame at the earliest), and add it. Unset: except for live sources."
    common "dvfs.mode" "dvfs" dvfs.mode =>
        "observe: read the clocks; plan: set them for each segment as dvfs.plan says, and give them back at the end; auto: measure on the live frames what they cost at which clocks, plan, follow the plan, and measure again where it is no longer true."
    common "dvfs.plan" "plan" dvfs.plan =>
        "The plan (e4.plan/1) for this bundle and board, where dvfs.mode is plan."
    rare "dvfs.transitions" "transitions" dvfs.transitions =>
        "How long the clocks take to change, as `e4 profile --transitions --json` has measured it. Unset: typical times at first, then what is seen in the run."
    rare "dvfs.objective" "objective" dvfs.objective =>
        "What a plan makes least, in expectation over the exits: energy (of a frame with the wait until the next), latency, or edp, their product."
    rare "dvfs.deadline_ms" "deadline-ms" dvfs.deadline_ms =>
        "Milliseconds within which every frame leaves, whatever its exit. Unset: the time from a frame to the next."
    rare "dvfs.power_cap_w" "power-cap-w" dvfs.power_cap_w =>
        "Power in watts that no segment may exceed, such as a battery's limit. Unset: none."
    rare "dvfs.spread" "spread" dvfs.spread =>
        "A latency counts in plans as its mean and this many standard deviations."
    rare "dvfs.budget" "budget" dvfs.budget =>
        "Clock points that auto may measure before it plans; a point that is measured again counts again."
    common "sink.json" "json" sink.json =>
        "Write one JSON line a frame to standard output; the final table then goes to standard error."
    common "sink.output" "output" sink.output =>
        "Where JSON lines go besides: stdout, a file, or a Unix datagram socket that somebody listens on (never waited for; what it misses is counted)."
    common "sink.summary" "summary" sink.summary =>
        "Write the run's summary here as JSON; - is standard output."
    common "sink.trace" "trace" sink.trace =>
        "Write here what each exit point said of each frame (e4.trace/1), for e4 sim."
    rare "sink.status" "status" sink.status =>
        "The live status line on standard error; auto: when that is a terminal."
};
