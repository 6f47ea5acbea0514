#pragma once

#include <cstdint>
#include <string>

namespace tpbench {

/// Three significant digits and a unit: "1.34 GB". Decimal units, as bandwidths use (GB = 1e9 bytes).
std::string format_bytes(double bytes);

/// "12.3 us", "4.56 ms", "1.20 s"
std::string format_seconds(double seconds);

/// "2 min 5 s", "43 s": for waiting times, where digits would only pretend.
std::string format_duration(double seconds);

/// "61 %"
std::string format_percent(double fraction);

/// UTC, ISO 8601 with seconds: "2026-11-22T12:00:00Z"
std::string utc_timestamp();

}  // namespace tpbench
