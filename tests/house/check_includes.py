#!/usr/bin/env python3
"""Reads every #include below src/ and enforces the floor plan of docs/architecture.md.

  check_includes.py SRC         one line per fault; exit 1 when there is one
  check_includes.py --self-test feeds itself good and bad trees

A file may include files of its own room and of rooms on lower floors. The paper column (records, reports) never
includes the machine column (tensors, compute, communication). Each third-party library has one doorway.
"""

import pathlib
import re
import sys
import tempfile

FLOOR = {
    "base": 0,
    "measure": 1, "workload": 1,
    "tensor": 2, "sweep": 2,
    "compute": 3, "comm": 3, "result": 3,
    "layers": 4, "environment": 4, "cuda": 4, "onednn": 4, "advisor": 4,
    "bench": 5, "report": 5,
    "cli": 6,
    "": 7,  # src/ itself: main.cpp, the door of floor 6
}
PAPER = {"workload", "sweep", "result", "report", "advisor"}
MACHINE = {"measure", "tensor", "compute", "comm", "cuda", "onednn", "layers", "environment", "bench"}
# The arithmetic of samples needs no machine.
PAPER_MAY_INCLUDE = {"measure/statistics.hpp", "measure/correlation.hpp"}

# (library, its headers, where they may be included: a room "comm/" or a file "base/log.cpp")
DOORWAYS = [
    ("MPI", r"(mpi|mpi-ext|pmix)\.h", ["comm/"]),
    ("BLAS", r"(cblas|openblas_config|lapacke|f77blas|mkl.*)\.h", ["compute/"]),
    ("oneDNN or OpenMP", r"(oneapi/)?(dnnl/)?dnnl.*|omp\.h", ["onednn/"]),
    ("hwloc", r"hwloc(\.h|/.*)", ["environment/host.cpp"]),
    ("CLI11", r"CLI/.*", ["cli/"]),
    ("spdlog", r"spdlog/.*", ["base/log.cpp"]),
    ("nlohmann/json", r"nlohmann/.*", ["base/json.hpp", "base/json_fwd.hpp"]),
    ("valijson", r"valijson/.*", ["base/json_schema.cpp"]),
    ("CUDA or NCCL", r"(cuda|cublas|curand|cusparse|cusolver|cudnn|nccl|nvml|nvtx3/|cub/|thrust/|cooperative_groups).*",
     ["cuda/"]),
    ("Google Test", r"(gtest|gmock)/.*", []),
]
SOURCES = {".cpp", ".hpp", ".h", ".cu", ".cuh", ".c", ".inl"}
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include(?:_next)?[ \t]*(?:"([^"]+)"|<([^>]+)>|(\S.*))', re.MULTILINE)
COMMENT = re.compile(r'/\*.*?\*/|//[^\n]*', re.DOTALL)


def without_comments(text):
    # Lines are kept so that numbers stay right. A "//" inside an include path would be cut too: no path has one.
    return COMMENT.sub(lambda match: "\n" * match.group(0).count("\n"), text)


def room_of(path):
    return path.split("/")[0] if "/" in path else ""


def is_inside(path, doorways):
    return any(path == door or (door.endswith("/") and path.startswith(door)) for door in doorways)


def fault_of_house_include(path, target):
    here, there = room_of(path), room_of(target)
    if there not in FLOOR:
        return f"includes {target}: {there}/ is no room of the house"
    if here == there:
        return None
    if here in PAPER and there in MACHINE and target not in PAPER_MAY_INCLUDE:
        return f"includes {target}: {here}/ is read on any laptop and must not need {there}/"
    if FLOOR[there] >= FLOOR[here]:
        return (f"includes {target}: {here or 'src'}/ is on floor {FLOOR[here]} and {there}/ on floor "
                f"{FLOOR[there]}; a room includes only what lies below it")
    return None


def fault_of_library_include(path, target):
    for library, headers, doorways in DOORWAYS:
        if re.fullmatch(headers, target) and not is_inside(path, doorways):
            where = " and ".join(doorways) if doorways else "the tests"
            return f"includes <{target}>: {library} comes in only through {where}"
    return None


def fault_of_include(src, path, target):
    if re.match(r"\.\.?/", target):
        return f'includes "{target}": write the path from src/'
    library_fault = fault_of_library_include(path, target)
    if library_fault:
        return library_fault
    # What looks like a path into a room is one, also in angle brackets; a lone name must exist beside main.cpp.
    if room_of(target) in FLOOR and (room_of(target) or (src / target).exists()):
        return fault_of_house_include(path, target)
    return None


def faults_of_tree(src):
    """Every fault below `src` as "file:line: what is wrong", and the number of files read."""
    faults, count = [], 0
    for file in sorted(src.rglob("*")):
        if file.suffix not in SOURCES or not file.is_file():
            continue
        count += 1
        path = file.relative_to(src).as_posix()
        if room_of(path) not in FLOOR:
            faults.append(f"{path}:1: stands in {room_of(path)}/, which is no room of the house")
            continue
        text = without_comments(file.read_text(encoding="utf-8"))
        for match in INCLUDE.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            if match.group(3):
                faults.append(f"{path}:{line}: includes a macro: its target cannot be checked")
                continue
            fault = fault_of_include(src, path, match.group(1) or match.group(2))
            if fault:
                faults.append(f"{path}:{line}: {fault}")
    return faults, count


GOOD_TREE = {
    "base/json.hpp": "#include <nlohmann/json.hpp>\n#include <vector>\n",
    "base/json_schema.cpp": '#include "base/json.hpp"\n#include <valijson/schema.hpp>\n',
    "base/log.cpp": "#include <spdlog/spdlog.h>\n",
    "measure/statistics.hpp": "#include <span>\n",
    "sweep/case.hpp": '#include "workload/shape.hpp"\n',
    "workload/shape.hpp": '#include "base/json.hpp"\n// #include "cli/cli.hpp"\n/*\n#include <mpi.h>\n*/\n',
    "result/record.hpp": '#include "measure/statistics.hpp"\n#include "sweep/case.hpp"\n',
    "comm/mpi.cpp": "#include <mpi.h>\n#include <mpi-ext.h>\n",
    "compute/gemm.cpp": "#include <cblas.h>\n",
    "onednn/products.cpp": "#include <omp.h>\n#include <oneapi/dnnl/dnnl.hpp>\n",
    "cuda/gemm.cu": "#include <cublasLt.h>\n#include <nccl.h>\n",
    "cuda/pack.cuh": '#include <cuda_fp16.h>\n#include "cuda/launch.cuh"\n#include "compute/norm.hpp"\n'
                     '#include "comm/control.hpp"\n',
    "environment/host.cpp": '#include <hwloc.h>\n#include "environment/host.hpp"\n#include "comm/control.hpp"\n',
    "bench/run.cpp": '#include "environment/host.hpp"\n#include "layers/linear.hpp"\n', "comm/control.hpp": "",
    "environment/host.hpp": "", "layers/linear.hpp": "",
    "report/table.cpp": '#include "result/record.hpp"\n#include <sched.h>\n',
    "cli/cli.cpp": '#include <CLI/CLI.hpp>\n#include "report/table.hpp"\n#include "environment/host.hpp"\n',
    "base/json_fwd.hpp": "#include <nlohmann/json_fwd.hpp>\n",
    "main.cpp": '#include "base/json.hpp"\n#include "cli/cli.hpp"\n',
}
# One file each, and a word of the fault that it must bring.
BAD_FILES = [
    ("base/text.cpp", '#include "measure/clock.hpp"\n', "floor 0"),
    ("measure/clock.cpp", '#include "workload/shape.hpp"\n', "floor 1"),
    ("compute/gemm.cpp", '#include "comm/communicator.hpp"\n', "floor 3"),
    ("bench/run.cpp", '#include "report/table.hpp"\n', "floor 5"),
    ("bench/run.cpp", '#include "cli/cli.hpp"\n', "floor 6"),
    ("layers/linear.cpp", "#include <environment/host.hpp>\n", "floor 4"),
    ("result/store.cpp", '#include "tensor/matrix.hpp"\n', "laptop"),
    ("result/store.cpp", '#include "measure/clock.hpp"\n', "laptop"),
    ("report/table.cpp", '#include "comm/communicator.hpp"\n', "laptop"),
    ("report/table.cpp", '  #  include "environment/host.hpp"\n', "laptop"),
    ("sweep/case.cpp", '#include "measure/statistics.hpp"  // fine\n#include "tensor/matrix.hpp"\n', "case.cpp:2:"),
    ("advisor/fit.cpp", '#include "layers/linear.hpp"\n', "laptop"),
    ("bench/run.cpp", "#include <mpi.h>\n", "MPI"),
    ("layers/linear.cpp", "#include <cblas.h>\n", "BLAS"),
    ("bench/other.cpp", "#include <hwloc.h>\n", "hwloc"),
    ("comm/bind.cpp", '#include "hwloc/glibc-sched.h"\n', "hwloc"),
    ("main.cpp", "#include <CLI/CLI.hpp>\n", "CLI11"),
    ("base/text.cpp", "#include <spdlog/fmt/fmt.h>\n", "spdlog"),
    ("base/json_schema.cpp", "#include <nlohmann/json.hpp>\n", "nlohmann"),
    ("sweep/schema.cpp", "#include <valijson/schema.hpp>\n", "valijson"),
    ("tensor/device.cpp", "#include <cuda_runtime.h>\n", "CUDA"),
    ("comm/nccl.cpp", "#include <nccl.h>\n", "CUDA"),
    ("compute/gemm.cpp", "#include <oneapi/dnnl/dnnl.hpp>\n", "oneDNN"),
    ("tensor/pool.cpp", "#include <omp.h>\n", "OpenMP"),
    ("onednn/products.cpp", '#include "layers/linear.hpp"\n', "floor 4"),
    ("cuda/norm.cu", '#include "layers/linear.hpp"\n', "floor 4"),
    ("bench/run.cpp", '#include "cuda/kernels.hpp"\n', "CUDA"),
    ("base/text.cpp", "#include <gtest/gtest.h>\n", "tests"),
    ("base/text.cpp", '#include "../cli/cli.hpp"\n', "from src/"),
    ("base/text.cpp", "#define HEADER <mpi.h>\n#include HEADER\n", "macro"),
    ("base/text.cpp", "/* one\ntwo */ #include <vector>\n#include <mpi.h>\n", "text.cpp:3:"),
    ("helpers/x.cpp", "", "no room"),
]


def faults_of_files(files):
    with tempfile.TemporaryDirectory() as folder:
        src = pathlib.Path(folder)
        for path, text in files.items():
            (src / path).parent.mkdir(parents=True, exist_ok=True)
            (src / path).write_text(text, encoding="utf-8")
        return faults_of_tree(src)[0]


def self_test():
    wrong = [f"good tree: {fault}" for fault in faults_of_files(GOOD_TREE)]
    for path, text, word in BAD_FILES:
        faults = faults_of_files({**GOOD_TREE, path: text})
        if len(faults) != 1 or word not in faults[0]:
            wrong.append(f"{path} with {text!r}: expected one fault with {word!r}, got {faults}")
    return wrong


def main(arguments):
    if arguments == ["--self-test"]:
        wrong = self_test()
        print("\n".join(wrong) if wrong else f"self-test: {len(BAD_FILES)} bad files found out")
        return 1 if wrong else 0
    if len(arguments) != 1 or arguments[0].startswith("-"):
        print(__doc__)
        return 0 if arguments in (["-h"], ["--help"]) else 2
    faults, count = faults_of_tree(pathlib.Path(arguments[0]))
    print("\n".join(faults) if faults else f"{count} files keep the floor plan")
    if count == 0:
        print(f"{arguments[0]}: no sources there")
    return 1 if faults or count == 0 else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
