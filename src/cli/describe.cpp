// A man page and shell completion, from the options as the parser has them.
#include "cli/describe.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <stdexcept>
#include <vector>

#include "base/build_info.hpp"
#include "base/text.hpp"

namespace tpbench {
namespace {

using Options = std::vector<const CLI::Option*>;

std::vector<const CLI::App*> commands_of(const CLI::App& app) {
  return app.get_subcommands([](const CLI::App*) { return true; });
}

Options options_of(const CLI::App& app) {
  Options options;
  for (const CLI::Option* option : app.get_options()) {
    if (option->nonpositional()) options.push_back(option);
  }
  return options;
}

Options positionals_of(const CLI::App& app) {
  Options options;
  for (const CLI::Option* option : app.get_options()) {
    if (!option->nonpositional()) options.push_back(option);
  }
  return options;
}

bool takes_value(const CLI::Option& option) { return option.get_items_expected_max() > 0; }

// "-c", "--config"
std::vector<std::string> names_of(const CLI::Option& option) {
  std::vector<std::string> names;
  for (const std::string& name : option.get_snames()) names.push_back('-' + name);
  for (const std::string& name : option.get_lnames()) names.push_back("--" + name);
  return names;
}

std::string long_name(const CLI::Option& option) { return names_of(option).back(); }

// Whether a file or a folder is meant.
bool is_path(const CLI::Option& option) {
  return option.get_type_name().starts_with("FILE") || option.get_type_name().starts_with("DIR");
}

// ---- man

std::string roff(const std::string& text) {
  std::string result;
  for (const std::string& line : split(text, '\n')) {
    std::string escaped;
    for (const char c : line) escaped += c == '\\' ? "\\e" : c == '-' ? "\\-" : std::string(1, c);
    if (escaped.starts_with('.') || escaped.starts_with('\'')) escaped = "\\&" + escaped;
    result += escaped + '\n';
  }
  return result;
}

std::string roff_line(const std::string& text) {
  std::string line = roff(text);
  line.pop_back();
  return line;
}

std::string man_option(const CLI::Option& option) {
  std::string text = ".TP\n";
  std::string names;
  for (const std::string& name : names_of(option))
    names += (names.empty() ? "" : ", ") + ("\\fB" + roff_line(name) + "\\fR");
  if (takes_value(option)) names += " \\fI" + roff_line(option.get_type_name()) + "\\fR";
  return text + names + '\n' + roff(option.get_description());
}

std::string man_options(const CLI::App& app) {
  std::string text;
  for (const CLI::Option* option : options_of(app)) text += man_option(*option);
  for (const CLI::Option* option : positionals_of(app))
    text += ".TP\n\\fI" + roff_line(option->get_type_name()) + "\\fR\n" + roff(option->get_description());
  return text;
}

std::string man_examples(const std::string& command) {
  const std::string examples = examples_of(command);
  return examples.empty() ? ""
                          : ".PP\n.nf\n" + roff(examples.substr(examples.find_first_not_of('\n'))) + ".fi\n";
}

std::string man_page(const CLI::App& app) {
  std::string text = fmt::format(
      ".TH TPBENCH 1 \"\" \"tpbench {}\" \"User Commands\"\n.SH NAME\ntpbench \\- {}\n.SH SYNOPSIS\n"
      "\\fBmpirun \\-n\\fR \\fIRANKS\\fR \\fBtpbench \\-\\-config\\fR \\fIFILE\\fR [\\fIOPTIONS\\fR]\n.br\n"
      "\\fBtpbench\\fR \\fICOMMAND\\fR [\\fIOPTIONS\\fR]\n.SH DESCRIPTION\n{}",
      build_info().version, "benchmark of tensor\\-parallel transformer layers over MPI",
      roff(app.get_description()));
  text += "Without a command it runs a sweep.\n.SH OPTIONS\n" + man_options(app) + man_examples("");
  text += ".SH COMMANDS\n";
  for (const CLI::App* command : commands_of(app)) {
    text += fmt::format(".SS tpbench {}\n", roff_line(command->get_name())) +
            roff(command->get_description() + '.');
    // Those of a run stand above.
    if (command->get_name() != "run") text += man_options(*command);
    text += man_examples(command->get_name());
  }
  return text + ".SH SEE ALSO\nmpirun(1), /usr/share/doc/tpbench/README.md\n";
}

// ---- bash

std::string words_of(const CLI::App& app) {
  std::string words;
  for (const CLI::Option* option : options_of(app)) {
    for (const std::string& name : names_of(*option)) words += (words.empty() ? "" : " ") + name;
  }
  return words;
}

// What may stand behind options of one command; nothing where any word may.
std::string bash_values(const CLI::App& app, const std::string& command) {
  std::string text;
  for (const CLI::Option* option : options_of(app)) {
    if (!takes_value(*option)) continue;
    const std::string choices = choices_of(command, long_name(*option));
    const char* action = option->get_type_name().starts_with("DIR") ? "compgen -d" : "compgen -f";
    const std::string words = !choices.empty()   ? fmt::format("compgen -W '{}'", choices)
                              : is_path(*option) ? action
                                                 : "true";
    text += fmt::format("      {}) COMPREPLY=($({}{})); return ;;\n", fmt::join(names_of(*option), "|"),
                        words, words == "true" ? "" : " -- \"$word\"");
  }
  return text;
}

std::string bash_positionals(const CLI::App& app, const std::string& command) {
  for (const CLI::Option* option : positionals_of(app)) {
    const std::string choices = choices_of(command, option->get_name(true, false));
    if (!choices.empty()) return fmt::format("compgen -W '{}' -- \"$word\"", choices);
    return option->get_type_name().starts_with("DIR") ? "compgen -d -- \"$word\"" : "compgen -f -- \"$word\"";
  }
  return "";
}

std::string bash_command(const CLI::App& app, const std::string& command) {
  const std::string positionals = bash_positionals(app, command);
  return fmt::format(
      "    {})\n      case $before in\n{}      esac\n"
      "      if [[ $word == -* ]]; then COMPREPLY=($(compgen -W '{}' -- \"$word\"))\n"
      "      else COMPREPLY=({}); fi ;;\n",
      command.empty() ? "''" : command, bash_values(app, command), words_of(app),
      positionals.empty() ? (command.empty() ? "$(compgen -W \"$commands\" -- \"$word\")" : "")
                          : "$(" + positionals + ")");
}

std::string bash_completion(const CLI::App& app) {
  std::vector<std::string> names;
  std::string cases = bash_command(app, "");
  for (const CLI::App* command : commands_of(app)) {
    names.push_back(command->get_name());
    cases += bash_command(*command, command->get_name());
  }
  return fmt::format(
      "# bash completion of tpbench, also behind mpirun and srun where these complete commands.\n"
      "_tpbench() {{\n"
      "  local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}} command= place\n"
      "  local commands='{}'\n"
      "  COMPREPLY=()\n"
      "  for ((place = 1; place < COMP_CWORD; place++)); do\n"
      "    [[ \" $commands \" == *\" ${{COMP_WORDS[place]}} \"* ]] && {{ command=${{COMP_WORDS[place]}}; "
      "break; }}\n"
      "  done\n"
      "  case $command in\n{}  esac\n"
      "}}\n"
      "complete -o filenames -F _tpbench tpbench\n",
      fmt::join(names, " "), cases);
}

// ---- zsh

std::string zsh_text(const std::string& text) {
  std::string result;
  for (const char c : text) {
    if (c == '\'')
      result += "'\\''";
    else if (c == '[' || c == ']' || c == ':')
      result += std::string("\\") + c;
    else
      result += c;
  }
  return result;
}

std::string zsh_action(const CLI::Option& option, const std::string& choices) {
  if (!choices.empty()) return fmt::format("({})", choices);
  if (option.get_type_name().starts_with("DIR")) return "_files -/";
  return is_path(option) ? "_files" : "";
}

std::string zsh_arguments(const CLI::App& app, const std::string& command) {
  std::string text = "      _arguments -s";
  for (const CLI::Option* option : options_of(app)) {
    for (const std::string& name : names_of(*option)) {
      const std::string value =
          takes_value(*option) ? fmt::format(":{}:{}", zsh_text(option->get_type_name()),
                                             zsh_action(*option, choices_of(command, long_name(*option))))
                               : "";
      text += fmt::format(" \\\n        '*{}[{}]{}'", name, zsh_text(option->get_description()), value);
    }
  }
  for (const CLI::Option* option : positionals_of(app))
    text += fmt::format(" \\\n        '*:{}:{}'", zsh_text(option->get_type_name()),
                        zsh_action(*option, choices_of(command, option->get_name(true, false))));
  return text + " ;;\n";
}

std::string zsh_completion(const CLI::App& app) {
  std::string names, cases;
  for (const CLI::App* command : commands_of(app)) {
    names += fmt::format("    '{}:{}'\n", command->get_name(), zsh_text(command->get_description()));
    cases += fmt::format("    {})\n", command->get_name()) + zsh_arguments(*command, command->get_name());
  }
  return fmt::format(
      "#compdef tpbench\n"
      "_tpbench() {{\n"
      "  local -a commands\n  commands=(\n{}  )\n"
      "  local command= word\n"
      "  for word in ${{words[2,CURRENT-1]}}; do\n"
      "    [[ -n ${{commands[(r)$word:*]}} ]] && {{ command=$word; break; }}\n"
      "  done\n"
      "  case $command in\n{}    *)\n"
      "      (( CURRENT == 2 )) && _describe command commands\n{}"
      "  esac\n"
      "}}\n"
      "_tpbench \"$@\"\n",
      names, cases, zsh_arguments(app, ""));
}

}  // namespace

std::string describe(const CLI::App& app, Description form) {
  switch (form) {
    case Description::man:
      return man_page(app);
    case Description::bash:
      return bash_completion(app);
    case Description::zsh:
      return zsh_completion(app);
  }
  throw std::logic_error("describe: unknown form");
}

}  // namespace tpbench
