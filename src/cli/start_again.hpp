#pragma once

#include <string>
#include <utility>
#include <vector>

namespace tpbench {

/// Puts the same program, with the same arguments and with `variables` set, in place of this process: number,
/// open files and everything that a launcher knows of it stay. To be called before threads and libraries have
/// state that matters. Returns only when that fails, and says why; the variables are then as they were.
std::string start_again(const std::vector<std::pair<std::string, std::string>>& variables);

}  // namespace tpbench
