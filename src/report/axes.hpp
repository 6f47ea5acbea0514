#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "report/document.hpp"
#include "result/record.hpp"
#include "sweep/case.hpp"

namespace tpbench {

/// The fields in which the cases differ, in the order of the record but tp_degree last. A field that only
/// follows from others (ffn_hidden_size = 4 x hidden_size in every case, null for a workload that does not
/// use it) is no axis.
std::vector<const CaseField*> varying_fields(std::span<const Case> cases);

/// A field's value for people: text without quotes, "-" for null.
std::string field_text(const CaseField& field, const Case& point);

/// The column of an axis, and a case's value in it.
Section::Column axis_column(const CaseField& axis, const Case& any);
inline Value axis_value(const CaseField& axis, const Case& point) { return axis.get(point); }

/// "All cases: workload=mlp pass=forward ...": the fields of a case that have one value in all of them.
std::string shared_fields(std::span<const Case> cases);

/// Of what stands in one table: "mlp h=4096 T=128 dtype=f64", workload and shape, then the other fields in
/// which the cases differ.
class CaseNames {
 public:
  /// `unsaid`: keys of the fields that are said elsewhere.
  CaseNames(std::span<const Case> cases, std::span<const std::string_view> unsaid);
  [[nodiscard]] std::string name(const Case& point) const;

 private:
  std::vector<const CaseField*> further_;
};

/// What of these cases nobody gave, or is not as it looks: default heads, padded vocabularies, models that
/// are composed from fewer layers. A sentence each.
std::vector<std::string> case_notes(std::span<const Case> cases);

/// Strict weak order of the sweep's axes: workloads as the catalog lists them, then the other fields as in
/// the record; tp_degree last, so that the degrees of one layer stand together.
bool comes_before(const Case& first, const Case& second);

/// Sorted so, by their cases.
std::vector<const Record*> in_order(std::span<const Record> records);

/// The cases of these records.
std::vector<Case> cases_of(std::span<const Record* const> records);

}  // namespace tpbench
