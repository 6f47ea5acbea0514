#include "result/record_rows.hpp"

// What multiplied.
namespace tpbench {
namespace {

Rows<KernelResult> kernel_rows() {
  return {
      field("name", &KernelResult::name,
            {.meaning = "as the library calls it: `brg:avx512_core_bf16`", .least = 1}),
      field("share", &KernelResult::share, {.meaning = "of the FLOP of all products", .least = 0}),
      field(
          "emulates", &KernelResult::emulates,
          {.meaning = "whether it does without instructions for products of the type, which the CPU lacks or "
                      "ONEDNN_MAX_CPU_ISA rules out"}),
  };
}

Rows<PackingResult> packing_rows() {
  return {
      field("seconds", &PackingResult::seconds,
            {.meaning = "that it took; in `phases_s.setup`", .unit = "s", .least = 0}),
      field("bytes", &PackingResult::bytes,
            {.meaning = "of the packed weights, and of places for matrices whose rows have gaps; counted in "
                        "`memory_bytes`; 0 where the library's kernels want all weights as they lie, and "
                        "nothing was packed",
             .unit = "bytes",
             .least = 0}),
      field("added_bytes", &PackingResult::added_bytes,
            {.meaning = "of these, what stands beyond the weights in rows, which packed ones take the place "
                        "of: what the library rounds up, the places, and packed weights whose rows are kept; "
                        "`memory_bytes.peak` is `predicted_peak` and this",
             .unit = "bytes",
             .null = "the record is from before rows were let go of: all were kept",
             .since = 2}),
  };
}

}  // namespace

TPBENCH_ROWS(KernelResult, kernel_rows())
TPBENCH_ROWS(PackingResult, packing_rows())

}  // namespace tpbench
