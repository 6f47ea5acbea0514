#include "advisor/calibration.hpp"

#include <gtest/gtest.h>

#include <fstream>

#include "base/field.hpp"
#include "base/json_schema.hpp"
#include "known_machine.hpp"
#include "record_docs.hpp"

namespace tpbench {
namespace {

TEST(CalibrationFile, HoldsAllOfItAndIsValid) {
  const Json written = calibration_to_json(known_machine());
  EXPECT_EQ(calibration_to_json(calibration_from_json(written)), written);
  const Json schema = Json::parse(std::ifstream(TPBENCH_SOURCE_DIR "/docs/calibration.schema.json"));
  EXPECT_TRUE(validate_with_schema(schema, written).empty());
  EXPECT_FALSE(validate_with_schema(schema, Json{{"schema", "tpbench.record/2"}}).empty());
}

TEST(CalibrationFile, HasTheSchemaThatIsPublished) {
  EXPECT_EQ(record_docs::pretty(calibration_schema()) + '\n',
            record_docs::read_file(TPBENCH_SOURCE_DIR "/docs/calibration.schema.json"));
}

// What calibration_from_json says of the known machine with one value set.
std::string fault_of(const std::string& pointer, const Json& value) {
  Json document = calibration_to_json(known_machine());
  document[Json::json_pointer(pointer)] = value;
  try {
    (void)calibration_from_json(document);
  } catch (const FieldFault& fault) {
    return fault.what();
  }
  return "read";
}

TEST(CalibrationFile, IsRefusedWithItsKeyWhereItMakesNoSense) {
  EXPECT_EQ(fault_of("/schema", "tpbench.calibration/9"),
            "/schema: is \"tpbench.calibration/9\"; this version reads tpbench.calibration/1");
  EXPECT_EQ(fault_of("/compute/0/rates/0/call_s", -1),
            "/compute/0/rates/0/call_s: must be at least 0, not -1");
  EXPECT_EQ(fault_of("/compute/0/rates/1/kind", "product"),
            "/compute/0/rates/1/kind: is a second rate of product");
  EXPECT_EQ(fault_of("/collectives/0/pieces", Json::array()),
            "/collectives/0/pieces: is empty: a rate has one piece or more");
  EXPECT_EQ(fault_of("/collectives/0/pieces/0/to_bytes", 5),
            "/collectives/0/pieces: are not in ascending order of size");
  EXPECT_EQ(fault_of("/compute/0/dtype", "f12"),
            "/compute/0/dtype: is \"f12\", which is not one of its values");
}

}  // namespace
}  // namespace tpbench
