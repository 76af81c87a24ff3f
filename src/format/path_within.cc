#include "format/path_within.h"

#include <filesystem>

#include "base/error.h"
#include "base/paths.h"
#include "format/model.h"

namespace tl {

namespace fs = std::filesystem;

// models--A--B/snapshots/COMMIT/… has links to the files in models--A--B/blobs/.
std::string BlobsOfHubCache(const std::string& folder) {
  for (fs::path at = RealPath(folder); at.has_relative_path();
       at = at.parent_path()) {
    if (at.filename() == "snapshots") {
      return (at.parent_path() / "blobs").string();
    }
  }
  return "";
}

bool LiesWithin(const std::string& folder, const std::string& file) {
  const std::string root = RealPath(folder.empty() ? "." : folder);
  const std::string real = RealPath(file);
  if (root.empty() || real.empty()) return false;
  if (IsBelow(root, real)) return true;
  const std::string blobs = BlobsOfHubCache(root);
  return !blobs.empty() && IsBelow(blobs, real);
}

std::string PathWithin(const std::string& folder, const std::string& name,
                       const std::string& where) {
  const fs::path path(name);
  bool plain = !name.empty() && name.find('\0') == std::string::npos &&
               path.is_relative();
  for (const fs::path& part : path) plain = plain && part != "..";
  if (!plain) {
    Fail(ErrorKind::kInput, "{}: {} is not the name of a file within the model",
         where, QuoteName(name));
  }
  const std::string within = (fs::path(folder) / path).string();
  if (!LiesWithin(folder, within)) {
    Fail(ErrorKind::kInput, "{}: {} leads out of the model", where,
         QuoteName(name));
  }
  return within;
}

}  // namespace tl
