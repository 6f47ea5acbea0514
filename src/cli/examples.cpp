// Each command's own examples; what options take that have a closed list of values.
#include <algorithm>
#include <string_view>

#include "cli/command_line.hpp"
#include "cli/describe.hpp"

namespace tpbench {
namespace {

constexpr std::string_view kExitStatus = R"(
Results go to stdout and into the output folder, everything else to stderr.
Exit status: 0 every case ok or skipped, 1 a case failed, 2 command line, sweep file or result folder wrong,
3 the environment cannot do it, 130 interrupted (143 in a Slurm job).)";

struct Examples {
  std::string_view command, text;
};

constexpr Examples kExamples[] = {
    {"", R"(
Examples:
  mpirun -n 2 tpbench --config sweep.json --label eth-1g
  tpbench --config sweep.json --dry-run
  mpirun -n 8 tpbench --config sweep.json --set measure.max_seconds=1 --filter tp_degree=1,8
  mpirun -n 8 tpbench --resume results/my-sweep
  srun --mpi=pmix tpbench --config sweep.json --continue results/$SLURM_JOB_ID

Each command has help and examples of its own: tpbench compare --help.)"},
    {"run", R"(
Examples:
  mpirun -n 2 tpbench run --config sweep.json --label eth-1g
  mpirun -n 8 tpbench run --resume results/my-sweep
  mpirun -n 8 tpbench run --resume results/my-sweep --set measure.epochs=8)"},
    {"validate", R"(
Examples:
  tpbench validate sweep.json
  tpbench validate sweep.json --set tp_degree=1,2,4

Exit status: 0 valid, 2 not; every fault is a line with place, value and rule.)"},
    {"models", R"(
Examples:
  tpbench models
  tpbench models path/to/config.json)"},
    {"info", R"(
Examples:
  tpbench info
  tpbench info --json | jq .problems)"},
    {"selfcheck", R"(
Examples:
  mpirun -n 2 tpbench selfcheck)"},
    {"probe", R"(
Examples:
  mpirun -n 4 --hostfile hosts --map-by ppr:2:node tpbench probe --output eth-1g.json --label eth-1g
  mpirun -n 2 tpbench probe --quick --max-bytes 1MiB

Exit status: 0 measured, 1 a wrong byte or sum arrived, 2 command line wrong, 3 the environment cannot do it.)"},
    {"compare", R"(
Examples:
  tpbench compare results/eth-1g results/eth-10g
  tpbench compare results/before results/after --fail-above 5%
  tpbench compare --base results/a/* --with results/b/*
  tpbench compare --base results/nightly-0[1-6] --with results/nightly-07 --fail-above 5% --inconclusive fail

Exit status: 0 compared, and with --fail-above PASS; 1 FAIL; 4 INCONCLUSIVE; 2 command line or a folder wrong.)"},
    {"export", R"(
Examples:
  tpbench export results/eth-1g --to csv
  tpbench export results/eth-1g --to samples --output eth-1g.csv
  tpbench export results/eth-1g --to trace --filter tp_degree=4 --output eth-1g.trace.json
  tpbench export results/eth-1g --to nccl-tests --output eth-1g.json)"},
    {"report", R"(
Examples:
  tpbench report results/eth-1g --output report.html
  tpbench report results/eth-1g results/eth-10g --output fabrics.html)"},
    {"predict", R"(
Examples:
  tpbench predict results/eth-10g --degree 16,32 --ranks-per-host 8
  tpbench predict results/eth-10g probe.json --degree 8 --ranks-per-host 1 --fabric alpha=5us,bandwidth=25GB/s
  tpbench predict results/eth-10g --shape workload=block,model=llama3-8b,batch_size=1 --degree 4,8
  tpbench predict results/eth-10g results/again --check
  tpbench predict results/eth-10g --save-calibration eth-10g.calibration.json

Exit status: 0 predicted, 2 command line wrong, or what was measured does not tell.)"},
    {"plan", R"(
Examples:
  tpbench plan results/eth-10g --model llama3-70b --ranks 64 --ranks-per-host 8 --memory-per-rank 24GB
  tpbench plan results/eth-10g probe.json --model llama3-8b --ranks 8 --goal throughput --batch 32 --context 8192
  tpbench plan results/eth-10g --model config.json --ranks 64 --training --batch 512 --write-sweep next.json
  tpbench plan results/eth-10g --model llama3-70b --ranks 64 --fabric between:alpha=5us,bandwidth=25GB/s

Exit status: 0 planned, also where nothing fits; 2 command line wrong, or what was measured does not tell.)"},
    {"describe", R"(
Examples:
  tpbench describe man | man -l -
  source <(tpbench describe bash)
  tpbench describe zsh > ~/.zfunc/_tpbench)"},
};

template <typename E>
std::string names_of() {
  std::string text;
  for (const auto& [value, name] : EnumNames<E>::table) text += (text.empty() ? "" : " ") + std::string(name);
  return text;
}

}  // namespace

std::string examples_of(const std::string& command) {
  const auto* const found =
      std::find_if(std::begin(kExamples), std::end(kExamples),
                   [&](const Examples& examples) { return examples.command == command; });
  if (found == std::end(kExamples)) return "";
  std::string text(found->text);
  if (command.empty() || command == "run") text += '\n' + std::string(kExitStatus);
  return text;
}

std::string choices_of(const std::string& command, const std::string& option) {
  const bool is_comparison = command == "compare" || command == "predict";
  if (option == "--format") return is_comparison ? names_of<CompareFormat>() : names_of<Format>();
  if (option == "--goal") return names_of<Goal>();
  if (option == "--recompute") return names_of<Recompute>();
  if (option == "--dtype") return names_of<DType>();
  if (option == "--to") return names_of<ExportFormat>();
  if (option == "--inconclusive") return "pass fail";
  if (option == "form") return names_of<Description>();
  return "";
}

}  // namespace tpbench
