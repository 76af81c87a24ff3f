// The functions behind the rows of formats.def. Callers want format/load.h.
#pragma once

#include <memory>
#include <string_view>

#include "format/model.h"

namespace tl {

#define TL_FORMAT(id, name)             \
  inline constexpr char k##id[] = name; \
  bool Is##id(const MappedFile& file);  \
  Model Load##id(std::shared_ptr<const MappedFile> file);
#include "format/formats.def"

}  // namespace tl
