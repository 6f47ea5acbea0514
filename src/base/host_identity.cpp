#include "base/host_identity.hpp"

#include <fmt/format.h>
#include <sys/utsname.h>

#include <fstream>

#include "base/text.hpp"

namespace tpbench {

std::string host_name() {
  struct utsname names {};
  return uname(&names) == 0 && names.nodename[0] != '\0' ? names.nodename : "unknown";
}

std::optional<std::string> boot_id_hash(const std::filesystem::path& root) {
  std::ifstream file(root / "proc/sys/kernel/random/boot_id");
  std::string boot_id;
  if (!(file >> boot_id)) return std::nullopt;
  return fmt::format("{:016x}", stable_hash(boot_id));
}

std::string host_identity() { return boot_id_hash().value_or("") + ' ' + host_name(); }

}  // namespace tpbench
