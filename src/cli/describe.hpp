#pragma once

#include <string>

#include "base/enum_names.hpp"

namespace CLI {
class App;
}

namespace tpbench {

/// What `tpbench describe` writes: a page for man, and completion for two shells.
enum class Description { man, bash, zsh };

/// Made of the command line's own description: what the parser does not know is not in there.
std::string describe(const CLI::App& app, Description form);

/// What stands below the help of a command, "" for the program itself: its examples, and what else is its
/// own.
std::string examples_of(const std::string& command);

/// Values that an option takes which is called so (FORMAT of compare is not that of run); empty: any.
std::string choices_of(const std::string& command, const std::string& option);

}  // namespace tpbench

TPBENCH_ENUM_NAMES(tpbench::Description, {tpbench::Description::man, "man"},
                   {tpbench::Description::bash, "bash"}, {tpbench::Description::zsh, "zsh"});
