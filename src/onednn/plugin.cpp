// What libtpbench_onednn.so exports.
#include "compute/plugin.hpp"

#include "base/json.hpp"
#include "onednn/onednn_products.hpp"

extern "C" [[gnu::visibility("default")]] const tpbench::LibraryPlugin* tpbench_library_plugin() {
  static const tpbench::LibraryPlugin plugin = {tpbench::plugin_build(), tpbench::onednn::why_not,
                                                tpbench::onednn::make_products, tpbench::onednn::describe};
  return &plugin;
}
