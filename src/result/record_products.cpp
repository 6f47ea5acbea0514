#include "result/record_rows.hpp"

// What multiplied.
namespace tpbench {
namespace {

Rows<KernelResult> kernel_rows() {
  return {
      field("name", &KernelResult::name,
            {.meaning = "as the library calls it: `brg:avx512_core_bf16`", .least = 1}),
      field("share", &KernelResult::share, {.meaning = "of the FLOP of all products", .least = 0}),
      field("emulates", &KernelResult::emulates,
            {.meaning = "whether the CPU has no instructions for products of the type"}),
  };
}

Rows<PackingResult> packing_rows() {
  return {
      field("seconds", &PackingResult::seconds,
            {.meaning = "that it took; in `phases_s.setup`", .unit = "s", .least = 0}),
      field("bytes", &PackingResult::bytes,
            {.meaning = "of the packed weights, and of places for matrices whose rows have gaps; the weights "
                        "in rows are kept beside them, and all are counted in `memory_bytes`",
             .unit = "bytes",
             .least = 0}),
  };
}

}  // namespace

TPBENCH_ROWS(KernelResult, kernel_rows())
TPBENCH_ROWS(PackingResult, packing_rows())

}  // namespace tpbench
