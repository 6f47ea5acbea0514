#include "report/plan_rows.hpp"

#include <algorithm>

#include "report/model_plan.hpp"

namespace tpbench {

template <>
std::span<const Field<PlanRow>> fields_of<PlanRow>() {
  static const std::vector<Field<PlanRow>> kRows = {
      field("place", &PlanRow::place, {.meaning = "1 is best; 0: does not fit", .least = 0}),
      field("tp_degree", &PlanRow::tp_degree, {.meaning = "ranks that share each layer", .least = 1}),
      field("pp_degree", &PlanRow::pp_degree, {.meaning = "stages", .least = 1}),
      field("copies", &PlanRow::copies,
            {.meaning = "of the model, each with its part of the batch", .least = 1}),
      field("ranks", &PlanRow::ranks, {.meaning = "used: tp_degree x pp_degree x copies", .least = 1}),
      field("microbatches", &PlanRow::microbatches, {.meaning = "of the sequences of a copy", .least = 1}),
      field("microbatch_size", &PlanRow::microbatch_size, {.meaning = "sequences of each", .least = 1}),
      field("schedule", &PlanRow::schedule,
            {.meaning = "order of the microbatches", .null = "one stage, or inference: there is one order"}),
      field("virtual_stages", &PlanRow::virtual_stages, {.meaning = "stages of each rank", .least = 1}),
      field("placement", &PlanRow::placement,
            {.meaning = "what stays inside hosts: packed and tp_inside the ranks of a layer, pp_inside the "
                        "stages"}),
      field("boundary", &PlanRow::boundary,
            {.meaning = "messages between stages: whole, or scattered and gathered",
             .null = "there is one way"}),
      field("sequence_parallel", &PlanRow::sequence_parallel,
            {.meaning = "rows split outside of the layers"}),
      field("fits", &PlanRow::fits, {.meaning = "its largest stage is within the memory of a rank"}),
      field("contender", &PlanRow::is_contender,
            {.meaning = "best of its tp_degree and pp_degree, and its range reaches into that of the best"}),
      field("over_bytes", &PlanRow::over_bytes,
            {.meaning = "beyond the memory of a rank", .unit = "bytes", .least = 0}),
      field("largest_stage", &PlanRow::largest_stage,
            {.meaning = "rank of the pipeline that holds most", .least = 0}),
      field("memory_bytes", &PlanRow::memory_bytes,
            {.meaning = "of a rank there", .unit = "bytes", .least = 0}),
      field("weights_bytes", &PlanRow::weights_bytes, {.meaning = "of it", .unit = "bytes", .least = 0}),
      field("gradients_bytes", &PlanRow::gradients_bytes,
            {.meaning = "of it: gradients of weights", .unit = "bytes", .least = 0}),
      field("optimizer_bytes", &PlanRow::optimizer_bytes,
            {.meaning = "of it: moments and master weights", .unit = "bytes", .least = 0}),
      field("kv_cache_bytes", &PlanRow::kv_cache_bytes,
            {.meaning = "of it: keys and values of all sequences", .unit = "bytes", .least = 0}),
      field("activations_bytes", &PlanRow::activations_bytes,
            {.meaning = "of it: activations in flight", .unit = "bytes", .least = 0}),
      field("buffers_bytes", &PlanRow::buffers_bytes,
            {.meaning = "of it: buffers of collectives and messages", .unit = "bytes", .least = 0}),
      field("tp_hosts", &PlanRow::tp_hosts, {.meaning = "hosts of the ranks of a layer", .least = 1}),
      field("stage_messages", &PlanRow::stage_messages,
            {.meaning = "inside_host or between_hosts", .null = "one stage"}),
      field("step_s", &PlanRow::step_s,
            {.meaning = "training: a step", .unit = "s", .null = "inference, or does not fit"}),
      field("step_low_s", &PlanRow::step_low_s,
            {.meaning = "9 of 10 are above", .unit = "s", .null = "the same"}),
      field("step_high_s", &PlanRow::step_high_s,
            {.meaning = "9 of 10 are below", .unit = "s", .null = "the same"}),
      field("first_token_s", &PlanRow::first_token_s,
            {.meaning = "inference: the prompts of the whole batch",
             .unit = "s",
             .null = "training, or does not fit"}),
      field("first_token_low_s", &PlanRow::first_token_low_s,
            {.meaning = "9 of 10 are above", .unit = "s", .null = "the same"}),
      field("first_token_high_s", &PlanRow::first_token_high_s,
            {.meaning = "9 of 10 are below", .unit = "s", .null = "the same"}),
      field("token_s", &PlanRow::token_s,
            {.meaning = "inference: a token more for each sequence",
             .unit = "s",
             .null = "training, or does not fit"}),
      field("token_low_s", &PlanRow::token_low_s,
            {.meaning = "9 of 10 are above", .unit = "s", .null = "the same"}),
      field("token_high_s", &PlanRow::token_high_s,
            {.meaning = "9 of 10 are below", .unit = "s", .null = "the same"}),
      field("tokens_per_s", &PlanRow::tokens_per_s,
            {.meaning = "of all copies: trained on, or made", .null = "does not fit"}),
      field("tokens_per_s_low", &PlanRow::tokens_per_s_low,
            {.meaning = "9 of 10 are above", .null = "the same"}),
      field("tokens_per_s_high", &PlanRow::tokens_per_s_high,
            {.meaning = "9 of 10 are below", .null = "the same"}),
      field("compute_s", &PlanRow::compute_s,
            {.meaning = "of step_s or token_s: compute of the stage that has most to do",
             .unit = "s",
             .null = "does not fit"}),
      field("communication_s", &PlanRow::communication_s,
            {.meaning = "its collectives", .unit = "s", .null = "does not fit"}),
      field("waiting_s", &PlanRow::waiting_s,
            {.meaning = "bubble and messages between stages", .unit = "s", .null = "does not fit"}),
      field("optimizer_s", &PlanRow::optimizer_s,
            {.meaning = "update of the weights", .unit = "s", .null = "inference, or does not fit"}),
      field("gradients_s", &PlanRow::gradients_s,
            {.meaning = "sums of gradients over copies", .unit = "s", .null = "inference, or does not fit"}),
      field("dominant", &PlanRow::dominant, {.meaning = "the longest of these", .null = "does not fit"}),
      field("extrapolated", &PlanRow::extrapolated,
            {.meaning = "something is more than 4 times beyond what was measured"}),
      field("beyond", &PlanRow::beyond, {.meaning = "what, and how far"}),
  };
  return kRows;
}

namespace {

void set_times(PlanRow& row, const ModelPlan& plan, const SplitPlan& split) {
  const bool trains = plan.question.task.trains;
  const auto set = [](const PredictedTime& time, auto& median, auto& low, auto& high) {
    median = time.median_s;
    low = time.low_s;
    high = time.high_s;
  };
  if (trains)
    set(split.step, row.step_s, row.step_low_s, row.step_high_s);
  else
    set(split.step, row.first_token_s, row.first_token_low_s, row.first_token_high_s);
  if (split.token) set(*split.token, row.token_s, row.token_low_s, row.token_high_s);
  row.tokens_per_s = split.tokens_per_s.median;
  row.tokens_per_s_low = split.tokens_per_s.low;
  row.tokens_per_s_high = split.tokens_per_s.high;
  row.compute_s = split.compute_s;
  row.communication_s = split.communication_s;
  row.waiting_s = split.waiting_s;
  if (trains) {
    row.optimizer_s = split.optimizer_s;
    row.gradients_s = split.gradients_s;
  }
  row.dominant = std::string(name_of(split.dominant));
}

PlanRow row_of(const ModelPlan& plan, const SplitPlan& split) {
  const ModelSplit& how = split.split;
  PlanRow row;
  row.tp_degree = how.layout.tp;
  row.pp_degree = how.layout.pp;
  row.copies = how.layout.dp;
  row.ranks = split.ranks();
  row.microbatches = how.microbatches;
  row.microbatch_size = plan.question.task.batch_size / how.layout.dp / how.microbatches;
  if (plan.question.task.trains && how.layout.pp > 1) row.schedule = std::string(name_of(how.schedule));
  row.virtual_stages = how.virtual_stages;
  row.placement = std::string(name_of(split.placement));
  if (split.boundary) row.boundary = std::string(name_of(*split.boundary));
  row.sequence_parallel = how.sequence_parallel;
  row.fits = split.over_bytes == 0;
  row.over_bytes = split.over_bytes;
  row.largest_stage = split.largest_stage;
  row.memory_bytes = split.memory.total();
  row.weights_bytes = split.memory.weights;
  row.gradients_bytes = split.memory.gradients;
  row.optimizer_bytes = split.memory.optimizer;
  row.kv_cache_bytes = split.memory.kv_cache;
  row.activations_bytes = split.memory.activations;
  row.buffers_bytes = split.memory.buffers;
  row.tp_hosts = split.tp_hosts;
  if (how.layout.pp > 1) row.stage_messages = std::string(name_of(split.stage_reach));
  row.extrapolated = split.extrapolated();
  for (const Beyond& beyond : split.beyond) row.beyond.push_back(beyond.text());
  if (row.fits) set_times(row, plan, split);
  return row;
}

}  // namespace

std::vector<PlanRow> plan_rows(const ModelPlan& plan) {
  std::vector<PlanRow> rows;
  for (std::size_t i = 0; i < plan.fitting.size(); ++i) {
    PlanRow& row = rows.emplace_back(row_of(plan, plan.fitting[i]));
    row.place = static_cast<std::int64_t>(i) + 1;
    row.is_contender = std::find(plan.contenders.begin(), plan.contenders.end(), i) != plan.contenders.end();
  }
  for (const SplitPlan& split : plan.too_large) rows.push_back(row_of(plan, split));
  return rows;
}

namespace {

// Of the best split, or of the one that is nearest to fitting.
Json stages_of_first(const ModelPlan& plan) {
  const SplitPlan& split = plan.fitting.empty() ? plan.too_large.front() : plan.fitting.front();
  Json stages = Json::array();
  for (std::int64_t rank = 0; rank < split.split.layout.pp; ++rank) {
    const StageMemory memory = stage_memory(plan.question.task, split.split, rank);
    stages.push_back({{"stage", rank},
                      {"memory_bytes", memory.total()},
                      {"weights_bytes", memory.weights},
                      {"end_weights_bytes", memory.end_weights},
                      {"gradients_bytes", memory.gradients},
                      {"optimizer_bytes", memory.optimizer},
                      {"kv_cache_bytes", memory.kv_cache},
                      {"activations_bytes", memory.activations},
                      {"buffers_bytes", memory.buffers}});
  }
  return stages;
}

Json stages_type(const Json& bytes) {
  Json stage = {{"type", "object"}, {"properties", {{"stage", bytes}}}};
  for (const char* key :
       {"memory", "weights", "end_weights", "gradients", "optimizer", "kv_cache", "activations", "buffers"})
    stage["properties"][std::string(key) + "_bytes"] = bytes;
  stage["required"] = Json::array();
  for (const auto& entry : stage["properties"].items()) stage["required"].push_back(entry.key());
  return {{"type", "array"},
          {"items", std::move(stage)},
          {"description",
           "memory of a rank of each stage of the first split, or of the one that is nearest to fitting; "
           "end_weights_bytes: of the weights, embedding, last norm and output head"}};
}

}  // namespace

Json plan_document(const ModelPlan& plan, const Calibration& calibration,
                   const std::vector<std::string>& answer) {
  const PlanQuestion& question = plan.question;
  const ModelTask& task = question.task;
  const bool trains = task.trains;
  Json rows = Json::array();
  for (const PlanRow& row : plan_rows(plan)) rows.push_back(write_object(fields_of<PlanRow>(), row));
  Json untold = Json::array();
  for (const Untold& some : plan.untold) untold.push_back({{"why", some.why}, {"splits", some.splits}});
  return {{"schema", "tpbench.plan/1"},
          {"answer", answer},
          {"composed", true},
          {"measured_cases", plan.measured_cases},
          {"splits_tried", plan.tried},
          {"untold", std::move(untold)},
          {"errors", calibration_to_json(calibration).at("errors")},
          {"left_out", calibration_to_json(calibration).at("left_out")},
          {"question",
           {{"model", task.model.name},
            {"training", trains},
            {"goal", trains ? Json(nullptr) : Json(std::string(name_of(question.goal)))},
            {"ranks", question.ranks},
            {"ranks_per_host", question.machine.machine.ranks_per_host == 0
                                   ? Json(nullptr)
                                   : Json(question.machine.machine.ranks_per_host)},
            {"memory_per_rank_bytes", json_or_null(question.memory_per_rank)},
            {"batch_size", task.batch_size},
            {"sequence_length", task.sequence_length},
            {"context_length", trains ? Json(nullptr) : Json(task.context_length)},
            {"recompute", trains ? Json(std::string(name_of(question.recompute))) : Json(nullptr)},
            {"backend", question.machine.backend},
            {"library", question.machine.library},
            {"cache", std::string(name_of(question.machine.cache))},
            {"pages", std::string(name_of(question.machine.pages))},
            {"dtype", std::string(name_of(task.dtype))},
            {"algorithm", question.machine.algorithm}}},
          {"stages", stages_of_first(plan)},
          {"splits", std::move(rows)}};
}

Json plan_schema() {
  const auto word = [](const char* text) { return Json{{"type", "string"}, {"description", text}}; };
  const auto number = [](const char* text, bool may_be_null = false) {
    Json type = {{"description", text}, {"minimum", 0}};
    type["type"] = may_be_null ? Json::array({"integer", "null"}) : Json("integer");
    return type;
  };
  const auto null_or = [](Json values, const char* text) {
    values.push_back(nullptr);
    return Json{{"enum", std::move(values)}, {"description", text}};
  };
  Json question = {{"type", "object"},
                   {"properties",
                    {{"model", word("a preset, or the path of a config.json")},
                     {"training", {{"type", "boolean"}, {"description", "false: inference"}}},
                     {"goal", null_or({"latency", "throughput"}, "what is best; null: training")},
                     {"ranks", number("at most")},
                     {"ranks_per_host", number("null: all on one host", true)},
                     {"memory_per_rank_bytes", number("null: all fits", true)},
                     {"batch_size", number("sequences, of all copies")},
                     {"sequence_length", number("tokens of a prompt, or of a sequence that is trained on")},
                     {"context_length", number("earlier tokens when one more is made; null: training", true)},
                     {"recompute", null_or({"none", "selective", "full"}, "null: inference")},
                     {"backend", word("of the rates")},
                     {"library", word("of the rates")},
                     {"cache", word("of the rates: warm or cold")},
                     {"pages", word("of the rates: system or huge")},
                     {"dtype", word("of weights and activations")},
                     {"algorithm", word("of the collectives")}}}};
  question["required"] = Json::array();
  for (const auto& entry : question["properties"].items()) question["required"].push_back(entry.key());
  const Json properties = {
      {"schema", {{"const", "tpbench.plan/1"}}},
      {"answer",
       {{"type", "array"}, {"items", {{"type", "string"}}}, {"description", "in words, a sentence each"}}},
      {"composed", {{"const", true}, {"description", "put together from parts, not measured as a whole"}}},
      {"measured_cases", number("that the calibration comes from; 0: it is a description")},
      {"splits_tried", number("that the model can have on these ranks")},
      {"errors", calibration_schema().at("properties").at("errors")},
      {"left_out", calibration_schema().at("properties").at("left_out")},
      {"untold",
       {{"type", "array"},
        {"items",
         {{"type", "object"},
          {"required", {"why", "splits"}},
          {"properties",
           {{"why", word("what to measure")}, {"splits", number("that fit and have no times")}}}}}}},
      {"question", std::move(question)},
      {"stages", stages_type({{"type", "integer"}, {"minimum", 0}})},
      {"splits",
       {{"type", "array"},
        {"items", object_type(fields_of<PlanRow>())},
        {"description",
         "all that fit, best first, then of each TP x PP of which nothing fits the smallest"}}}};
  Json required = Json::array();
  for (const auto& entry : properties.items()) required.push_back(entry.key());
  return {{"$schema", "http://json-schema.org/draft-07/schema#"},
          {"title", "tpbench.plan/1"},
          {"description",
           "What tpbench plan --format json writes (docs/plan.md). Generated from the table of its keys."},
          {"type", "object"},
          {"required", std::move(required)},
          {"properties", properties}};
}

}  // namespace tpbench
