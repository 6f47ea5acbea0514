#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/field.hpp"
#include "workload/models.hpp"

namespace tpbench {

/// What a model's own file says.
struct ModelFile {
  Model model;                       ///< its name is the one that the file was given under
  std::string family;                ///< model_type
  std::optional<std::string> dtype;  ///< torch_dtype, as it stands there
  std::int64_t parameters = 0;       ///< of the whole model, by formula
  std::string hash;                  ///< of the file's bytes: "fnv1a64:9c1f03ab7d52a0b1"
};

template <>
std::span<const Field<Model>> fields_of();
template <>
std::span<const Field<ModelFile>> fields_of();

/// Understands a config.json of the Hugging Face form: keys of many families, those of text_config where the
/// text model is a part of the file. What changes how a layer computes and not what it multiplies is accepted
/// and stands in `Model::not_run`. Throws UsageError with a fault for each key that keeps the file from being
/// a dense decoder of a known family, or that is missing or out of range; `place` is the file's name.
ModelFile parse_model_file(std::string_view text, const std::string& place);

/// As it stands in a resolved sweep, so that a sweep goes on without the file. Throws FieldFault.
Json model_file_to_json(const ModelFile& file);
ModelFile model_file_from_json(const Json& object);

}  // namespace tpbench
