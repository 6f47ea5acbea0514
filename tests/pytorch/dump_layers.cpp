// dump_layers SWEEP FOLDER, under mpirun: runs every case of a sweep once, forward and backward, and writes
// what another program needs to do the same: FOLDER/ID.tensors.json with the unsharded inputs and weights as
// the generator makes them, and FOLDER/ID.rankR.json with what each rank of the group was left with and where
// that lies.
#include <filesystem>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/json.hpp"
#include "bench/case_machine.hpp"
#include "bench/row_reader.hpp"
#include "environment/launch.hpp"
#include "layers/tensors.hpp"
#include "sweep/sweep.hpp"

namespace tpbench::test {
namespace {

/// A tensor nobody has whole while a layer runs.
struct WholeTensor {
  const char* name;
  TensorKey key;
  std::int64_t rows, columns;
};

std::vector<WholeTensor> ends_of(const Shape& s, std::uint64_t seed) {
  return {{"input", input_key(seed), s.tokens, s.hidden_size},
          {"output_gradient", output_gradient_key(seed), s.tokens, s.hidden_size}};
}

std::vector<WholeTensor> linear_weights(const Shape& s, std::uint64_t seed, std::int64_t layer) {
  const std::int64_t h = s.hidden_size;
  return {{"weight", weight_key(seed, TensorName::weight, layer, h), h, h}};
}

std::vector<WholeTensor> mlp_weights(const Shape& s, std::uint64_t seed, std::int64_t layer) {
  const std::int64_t h = s.hidden_size, f = s.ffn_hidden_size;
  std::vector<WholeTensor> weights = {{"up", weight_key(seed, TensorName::up, layer, h), h, f},
                                      {"down", weight_key(seed, TensorName::down, layer, f), f, h}};
  if (s.gated()) weights.push_back({"gate", weight_key(seed, TensorName::gate, layer, h), h, f});
  return weights;
}

std::vector<WholeTensor> attention_weights(const Shape& s, std::uint64_t seed, std::int64_t layer) {
  const std::int64_t h = s.hidden_size, width = s.query_width(), kv = s.num_kv_heads * s.head_size();
  std::vector<WholeTensor> weights = {{"query", query_key(seed, layer, h), h, width},
                                      {"key", weight_key(seed, TensorName::key, layer, h), h, kv},
                                      {"value", weight_key(seed, TensorName::value, layer, h), h, kv},
                                      {"out", weight_key(seed, TensorName::out, layer, width), width, h}};
  if (s.context_length == 0) return weights;
  const std::int64_t earlier = s.batch_size() * s.context_length;
  weights.push_back({"cached_keys", plain_key(seed, TensorName::cached_keys, layer), earlier, kv});
  weights.push_back({"cached_values", plain_key(seed, TensorName::cached_values, layer), earlier, kv});
  return weights;
}

std::vector<WholeTensor> block_weights(const Shape& s, std::uint64_t seed, std::int64_t layer) {
  // The two norms one after the other, each a row of gains and in a layer norm a row of shifts.
  const std::int64_t rows = s.norm == Norm::layer_norm ? 4 : 2;
  std::vector<WholeTensor> weights = {
      {"norm", plain_key(seed, TensorName::norm, layer), rows, s.hidden_size}};
  for (const auto& part : {attention_weights(s, seed, layer), mlp_weights(s, seed, layer)})
    weights.insert(weights.end(), part.begin(), part.end());
  return weights;
}

std::vector<WholeTensor> no_weights(const Shape&, std::uint64_t, std::int64_t) { return {}; }

// What a workload with a vocabulary has once, whatever its layers.
std::vector<WholeTensor> vocabulary_weights(const Case& point) {
  const Shape s = point.shape();
  const UsedFields& uses = point.workload_row().uses;
  std::vector<WholeTensor> weights;
  if (uses.vocabulary && !(uses.logits && !uses.whole_model))
    weights.push_back({"embedding", embedding_key(point.seed, s), s.vocabulary, s.hidden_size});
  if (uses.vocabulary && uses.logits && !s.ties_embeddings)
    weights.push_back({"head", head_key(point.seed, s), s.vocabulary, s.hidden_size});
  if (uses.whole_model) {
    weights.push_back({"final_norm", plain_key(point.seed, TensorName::norm, s.num_layers),
                       s.norm == Norm::layer_norm ? 2 : 1, s.hidden_size});
  }
  return weights;
}

Json ids_to_json(const char* name, const std::vector<std::int64_t>& ids) {
  return {{"name", name}, {"layer", 0}, {"rows", ids.size()}, {"columns", 1}, {"values", ids}};
}

struct WeightsRow {
  const char* workload;
  std::vector<WholeTensor> (*weights)(const Shape&, std::uint64_t seed, std::int64_t layer);
};

constexpr WeightsRow kWeights[] = {
    {"column_linear", linear_weights}, {"row_linear", linear_weights}, {"mlp", mlp_weights},
    {"attention", attention_weights},  {"block", block_weights},       {"model", block_weights},
    {"embedding", no_weights},         {"lm_head", no_weights}};

std::vector<WholeTensor> weights_of(const Case& point, std::int64_t layer) {
  for (const WeightsRow& row : kWeights) {
    if (point.workload == row.workload) return row.weights(point.shape(), point.seed, layer);
  }
  throw UsageError("dump_layers knows no weights of workload " + point.workload);
}

Json to_json(const WholeTensor& tensor, std::int64_t layer, DType dtype) {
  Json values = Json::array();
  dispatch(dtype, [&](auto zero) {
    std::vector<decltype(zero)> row(static_cast<std::size_t>(tensor.columns));
    for (std::int64_t r = 0; r < tensor.rows; ++r) {
      fill_row(row.data(), tensor.key, r, 0, tensor.columns);
      for (const auto value : row) values.push_back(static_cast<double>(value));
    }
  });
  return {{"name", tensor.name},
          {"layer", layer},
          {"rows", tensor.rows},
          {"columns", tensor.columns},
          {"values", std::move(values)}};
}

Json whole_tensors(const Case& point) {
  const Shape shape = point.shape();
  Json tensors = Json::array();
  for (const WholeTensor& tensor : ends_of(shape, point.seed))
    tensors.push_back(to_json(tensor, 0, shape.dtype));
  for (const WholeTensor& tensor : vocabulary_weights(point))
    tensors.push_back(to_json(tensor, 0, shape.dtype));
  if (point.workload_row().uses.vocabulary) {
    for (const auto& [name, tensor] :
         {std::pair{"token_ids", TensorName::token_ids}, {"targets", TensorName::targets}})
      tensors.push_back(ids_to_json(name, generated_ids(point.seed, tensor, shape)));
  }
  for (std::int64_t layer = 0; layer < shape.num_layers; ++layer) {
    for (const WholeTensor& tensor : weights_of(point, layer))
      tensors.push_back(to_json(tensor, layer, shape.dtype));
  }
  return tensors;
}

std::vector<double> values_of(const MatrixView& x, Backend& backend) {
  std::vector<double> all, row;
  RowReader rows(x, backend);
  for (std::int64_t r = 0; r < x.rows; ++r) {
    rows.row_to(r, row);
    all.insert(all.end(), row.begin(), row.end());
  }
  return all;
}

// Results are written as soon as they are there: weight sets share places.
Json run_half(CaseMachine& machine, std::int64_t layer, Direction direction, Heartbeat& heartbeat) {
  auto& work = dynamic_cast<SetLayer&>(machine.layer());
  work.poison(layer, direction);
  Trace trace(heartbeat);
  trace.begin_step();
  trace.turn(direction);
  if (direction == Direction::forward)
    work.forward(layer, trace);
  else
    work.backward(layer, trace);
  trace.end_step();
  Json results = Json::array();
  for (const Result& result : work.results(layer, direction)) {
    results.push_back({{"name", result.name},
                       {"direction", name_of(direction)},
                       {"layer", layer},
                       {"first_row", result.first_row},
                       {"first_column", result.first_column},
                       {"rows", result.local.rows},
                       {"columns", result.local.columns},
                       {"values", values_of(result.local, machine.backend())}});
  }
  return results;
}

Json run_case(const Case& point, const Team& team, Heartbeat& heartbeat) {
  const Parts parts = built_in_parts();
  CaseMachine machine(point, team, parts, heartbeat);
  machine.make_layer();
  machine.layer().fill(heartbeat);
  Json results = Json::array();
  const auto run = [&](std::int64_t layer, Direction direction) {
    for (Json& result : run_half(machine, layer, direction, heartbeat)) results.push_back(std::move(result));
  };
  const std::int64_t layers = machine.shape().num_layers;
  for (std::int64_t layer = 0; layer < layers; ++layer) run(layer, Direction::forward);
  if (machine.shape().trains()) {
    for (std::int64_t layer = layers; layer-- > 0;) run(layer, Direction::backward);
  }
  return results;
}

void write(const std::filesystem::path& path, const Json& content) {
  std::ofstream file(path);
  file << content.dump() << '\n';
  file.close();
  if (!file) throw EnvironmentError("cannot write " + path.string());
}

void dump(const std::filesystem::path& sweep_file, const std::filesystem::path& folder, Session& session) {
  TeamCache teams(session);
  for (const Case& point : load_sweep(sweep_file, {}, built_in_availability()).cases) {
    const Team& team = teams.team_for(point);
    if (!team.member()) continue;
    const std::string id = case_id(point);
    const auto path = [&](const std::string& what) { return folder / (id + "." + what + ".json"); };
    if (team.group->rank() == 0)
      write(path("tensors"), {{"case", case_to_json(point)}, {"tensors", whole_tensors(point)}});
    write(path("rank" + std::to_string(team.group->rank())), run_case(point, team, session.heartbeat()));
  }
}

}  // namespace
}  // namespace tpbench::test

int main(int argc, char** argv) {
  if (argc != 3) throw tpbench::UsageError("usage: dump_layers SWEEP FOLDER");
  tpbench::Session session(tpbench::detect_launch().launcher == "none");
  tpbench::test::dump(argv[1], argv[2], session);
}
