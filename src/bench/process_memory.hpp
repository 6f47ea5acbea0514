#pragma once

#include <cstdint>
#include <optional>

namespace tpbench {

/// Resident bytes of this process now; empty where /proc does not say.
std::optional<std::int64_t> resident_bytes();

/// Bytes of this process that are in transparent huge pages now.
std::optional<std::int64_t> huge_page_bytes();

/// The largest resident set since the last reset.
std::optional<std::int64_t> peak_resident_bytes();

/// Gives free heap back to the system and starts the peak anew from what is resident now. Returns false where
/// the kernel does not allow that: then a peak would be that of an earlier case.
bool reset_peak_resident();

/// Has the heap give large blocks back at once for the rest of the process, whatever their history. Called
/// once.
void keep_heap_small();

}  // namespace tpbench
