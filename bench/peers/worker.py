"""One runtime as a long-lived process that takes turns with others.

A request is a line of JSON on standard input, an answer one on standard output:

  {"load": NAME, "files": [...], "x": FILE, "out": FILE}
      -> {"engine": ..., "isa": ...}; runs the files in a row on the values of x and
         writes what the last one pools to out
  {"run": NAME, "warm": N, "frames": N} -> {"ns": [...]}, the cost of the calls taken off
  {"clip": NAME, "x": FILE, "frames": N} -> {"ns": [...], "classes": [...]}
      a graph with state in and out, from zeros, on frames one after the other

What goes wrong is {"error": "one sentence"}.
"""

import json
import os
import subprocess
import sys
import tempfile
import time

import numpy as np

now = time.perf_counter_ns


def identity(path):
    """A graph that does next to nothing: what is left is the call."""
    import onnx
    from onnx import TensorProto, helper

    port = lambda name: helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 1, 1, 1])
    node = helper.make_node("Relu", ["x"], ["pooled"])
    graph = helper.make_graph([node], "call", [port("x")], [port("pooled")])
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), path)
    return path


class OnnxRuntime:
    def __init__(self):
        import onnxruntime

        self.ort = onnxruntime
        self.name = f"ONNX Runtime {onnxruntime.__version__}"
        self.options = onnxruntime.SessionOptions()
        self.options.intra_op_num_threads = 1
        self.options.inter_op_num_threads = 1
        self.options.log_severity_level = 3
        self.kept = []  # a binding does not keep what it binds

    def value(self, shape):
        """Zeros in the runtime's own memory."""
        value = self.ort.OrtValue.ortvalue_from_shape_and_type(list(shape), np.float32, "cpu")
        value.update_inplace(np.zeros(shape, np.float32))
        return value

    def session(self, file):
        return self.ort.InferenceSession(file, self.options, providers=["CPUExecutionProvider"])

    def chain(self, files, x):
        """Sessions in a row, each reading the memory that the one before writes."""
        calls, value = [], self.value(x.shape)
        value.update_inplace(x)
        for file in files:
            session = self.session(file)
            binding = session.io_binding()
            binding.bind_ortvalue_input(session.get_inputs()[0].name, value)
            made = {}
            for port in session.get_outputs():
                made[port.name] = self.value(port.shape)
                binding.bind_ortvalue_output(port.name, made[port.name])
            calls.append((session._sess.run_with_iobinding, binding._iobinding))
            self.kept.append((session, binding, made, value))
            value = made.get("y", value)
        pooled = made.get("pooled", next(iter(made.values())))

        def run():
            for call, binding in calls:
                call(binding, None)

        return run, lambda: pooled.numpy()


class OpenVino:
    def __init__(self):
        import openvino
        import openvino.properties as properties
        import openvino.properties.hint as hint

        self.ov = openvino
        self.name = f"OpenVINO {openvino.__version__.split('-')[0]}"
        self.core = openvino.Core()
        self.kept = []
        self.settings = {
            hint.inference_precision: openvino.Type.f32,
            hint.performance_mode: hint.PerformanceMode.LATENCY,
            hint.enable_cpu_pinning: False,
            properties.inference_num_threads: 1,
            properties.num_streams: 1,
        }

    def chain(self, files, x):
        requests, tensor = [], self.ov.Tensor(x)
        for file in files:
            model = self.core.compile_model(file, "CPU", self.settings)
            request = model.create_infer_request()
            request.set_input_tensor(tensor)
            names = [port.get_any_name() for port in model.outputs]
            made = {n: request.get_output_tensor(i) for i, n in enumerate(names)}
            requests.append(request)
            self.kept.append((model, made, tensor))
            tensor = made.get("y", tensor)
        pooled = made.get("pooled", next(iter(made.values())))

        def run():
            for request in requests:
                request.infer(None, share_outputs=True)

        return run, lambda: pooled.data


class Ncnn:
    def __init__(self):
        import ncnn
        import pnnx  # converts; its program lies beside the interpreter

        self.ncnn = ncnn
        self.converter = os.path.join(os.path.dirname(sys.executable), "pnnx")
        if not os.path.exists(self.converter):
            self.converter = pnnx.EXEC_PATH
        self.name = f"ncnn {ncnn.__version__}"
        self.folder = tempfile.TemporaryDirectory()

    def convert(self, file):
        import onnx

        copy = os.path.join(self.folder.name, f"{len(os.listdir(self.folder.name))}.onnx")
        graph = onnx.load(file)
        onnx.save(graph, copy)
        dims = [d.dim_value for d in graph.graph.input[0].type.tensor_type.shape.dim]
        shape = "inputshape=[" + ",".join(map(str, dims)) + "]f32"
        done = subprocess.run(
            [self.converter, copy, shape, "fp16=0"], cwd=self.folder.name, capture_output=True, text=True
        )
        stem = copy[: -len(".onnx")]
        if not os.path.exists(stem + ".ncnn.param"):
            raise RuntimeError(f"pnnx does not convert {file}: {done.stderr[-200:]!r}")
        return stem, [port.name for port in graph.graph.output]

    def chain(self, files, x):
        nets = []
        for file in files:
            stem, names = self.convert(file)
            net = self.ncnn.Net()
            net.opt.num_threads = 1
            net.opt.use_vulkan_compute = False
            for option in ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_bf16_storage"):
                setattr(net.opt, option, False)
            if net.load_param(stem + ".ncnn.param") or net.load_model(stem + ".ncnn.bin"):
                raise RuntimeError(f"ncnn does not load {file}")
            nets.append((net, names))
        first = self.ncnn.Mat(np.ascontiguousarray(x[0])).clone()  # its own memory
        last = {}

        def run():
            value = first
            for net, names in nets:
                extractor = net.create_extractor()
                extractor.input("in0", value)
                for at, name in enumerate(names):
                    _, last[name] = extractor.extract(f"out{at}")
                value = last.get("y", value)

        return run, lambda: np.array(last.get("pooled", next(iter(last.values()))))


class Worker:
    def __init__(self, engine):
        self.engine = {"onnxruntime": OnnxRuntime, "openvino": OpenVino, "ncnn": Ncnn}[engine]()
        self.runs, self.call = {}, None
        self.sessions, self.plain = {}, {}
        self.folder = tempfile.TemporaryDirectory()

    def load(self, request):
        x = np.fromfile(request["x"], "<f4").reshape(request["shape"])
        run, pooled = self.engine.chain(request["files"], np.ascontiguousarray(x))
        run()
        np.ascontiguousarray(pooled(), "<f4").tofile(request["out"])
        self.runs[request["load"]] = (run, len(request["files"]))
        return {"engine": self.engine.name}

    def times(self, run, warm, frames):
        for _ in range(warm):
            run()
        ns = [0] * frames
        for i in range(frames):
            start = now()
            run()
            ns[i] = now() - start
        return ns

    def call_ns(self):
        """What a call costs, whatever is computed in it."""
        if self.call is None:
            one = np.zeros((1, 1, 1, 1), np.float32)
            try:
                path = identity(os.path.join(self.folder.name, "call.onnx"))
                run, _ = self.engine.chain([path], one)
                self.call = run
            except Exception as error:
                print(f"the cost of a call is not taken off: {error}", file=sys.stderr)
                self.call = lambda: None
        return float(np.median(self.times(self.call, 20, 200)))

    def run(self, request):
        run, calls = self.runs[request["run"]]
        ns = self.times(run, request["warm"], request["frames"])
        off = calls * self.call_ns()
        return {"ns": [max(t - off, 1.0) for t in ns], "call_ns": off}

    def clip(self, request):
        """A stateful graph over one clip, by ONNX Runtime's own binding of memory."""
        file = request["clip"]
        if file not in self.sessions:
            self.sessions[file] = Stateful(self.engine, file, request["shape"])
        session = self.sessions[file]
        x = np.fromfile(request["x"], "<f4").reshape([request["frames"], *request["shape"]])
        ns, classes = session.clip(x)
        off = self.call_ns() if request["take_off"] else 0.0
        return {"ns": [max(t - off, 1.0) for t in ns], "classes": classes, "call_ns": off}

    def video(self, request):
        """The usual loop: OpenCV reads, resizes and converts, plain `run` calls."""
        import cv2

        cv2.setNumThreads(1)
        session = self.plain.get(request["video"])
        if session is None:
            session = self.engine.session(request["video"])
            self.plain[request["video"]] = session
        states = {p.name: p.shape for p in session.get_inputs() if p.name != "x"}
        names = [p.name for p in session.get_outputs()]
        size = tuple(request["size"])
        mean, std = np.float32(request["mean"]), np.float32(request["std"])
        start = now()
        state = {n: np.zeros(s, np.float32) for n, s in states.items()}
        capture, classes = cv2.VideoCapture(request["file"]), []
        while True:
            ok, frame = capture.read()
            if not ok:
                break
            height, width = frame.shape[:2]
            if width != height:
                side = min(width, height)
                top, left = (height - side) // 2, (width - side) // 2
                frame = frame[top : top + side, left : left + side]
            if frame.shape[:2] != size:
                frame = cv2.resize(frame, size[::-1], interpolation=cv2.INTER_AREA)
            x = (cv2.cvtColor(frame, cv2.COLOR_BGR2RGB).astype(np.float32) - mean) / std
            x = np.ascontiguousarray(x.transpose(2, 0, 1)[None])
            made = dict(zip(names, session.run(None, {"x": x, **state})))
            classes.append(int(made["logits"].argmax()))
            state = {n: made[n + "_next"] for n in states}
        capture.release()
        return {"ns": [now() - start], "classes": classes, "call_ns": 0.0}


class Stateful:
    """Inputs x and states, outputs logits and each state's next; two bindings that
    swap the states' memory, so that nothing is copied between frames."""

    def __init__(self, engine, file, shape):
        self.session = engine.session(file)
        self.x = engine.value(shape)
        states = {p.name: p.shape for p in self.session.get_inputs() if p.name != "x"}
        memory = lambda: {n: engine.value(s) for n, s in states.items()}
        self.states = (memory(), memory())
        logits = next(p for p in self.session.get_outputs() if p.name == "logits")
        self.logits = engine.value(logits.shape)
        self.bindings = [self.bind(*pair) for pair in (self.states, self.states[::-1])]

    def bind(self, old, new):
        binding = self.session.io_binding()
        binding.bind_ortvalue_input("x", self.x)
        binding.bind_ortvalue_output("logits", self.logits)
        for name in old:
            binding.bind_ortvalue_input(name, old[name])
            binding.bind_ortvalue_output(name + "_next", new[name])
        return binding

    def clip(self, frames):
        call, ns, classes = self.session._sess.run_with_iobinding, [], []
        for state in self.states[0].values():
            state.update_inplace(np.zeros(state.shape(), np.float32))
        for t, frame in enumerate(frames):
            self.x.update_inplace(np.ascontiguousarray(frame))
            binding = self.bindings[t % 2]._iobinding
            start = now()
            call(binding, None)
            ns.append(now() - start)
            classes.append(int(self.logits.numpy().argmax()))
        return ns, classes


def main():
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a runtime prints is no answer
    say = lambda answer: print(json.dumps(answer), file=out, flush=True)
    try:
        worker = Worker(sys.argv[1])
    except Exception as error:
        say({"error": f"{type(error).__name__}: {error}"})
        return
    say({"engine": worker.engine.name})
    for line in sys.stdin:
        request = json.loads(line)
        kind = next(k for k in ("load", "run", "clip", "video") if k in request)
        try:
            say(getattr(worker, kind)(request))
        except Exception as error:
            say({"error": f"{type(error).__name__}: {error}"})


main()
