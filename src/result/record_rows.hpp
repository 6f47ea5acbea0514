#pragma once

#include <span>
#include <vector>

#include "base/fields.hpp"
#include "result/record_tables.hpp"

// For the sources that hold rows of the record, and no others: docs/architecture.md, "How to add a key of the
// record".
namespace tpbench {

template <typename Owner>
using Rows = std::vector<Field<Owner>>;

}  // namespace tpbench

#define TPBENCH_ROWS(Owner, rows)                    \
  template <>                                        \
  std::span<const Field<Owner>> fields_of<Owner>() { \
    static const Rows<Owner> kRows = rows;           \
    return kRows;                                    \
  }
