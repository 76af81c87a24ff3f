#include "cli/usage.h"

#include <fmt/format.h>

#include <memory>
#include <utility>

namespace tl {
namespace {

// Wide enough for "--threads N" and the names of all commands.
constexpr size_t kColumnWidth = 20;

class UsageFormatter final : public CLI::Formatter {
 public:
  explicit UsageFormatter(std::string usage) : usage_(std::move(usage)) {
    column_width(kColumnWidth);
  }

  std::string make_usage(const CLI::App*, std::string) const override {
    return fmt::format("\nusage: {}\n", usage_);
  }

  // What an option needs and where it begins is said in its words.
  std::string make_option_opts(const CLI::Option* option) const override {
    const bool takes_value = option->get_type_size() != 0;
    return takes_value ? " " + option->get_type_name() : "";
  }

  // Positionals are explained by the usage line and the description.
  std::string make_positionals(const CLI::App*) const override { return ""; }

 private:
  std::string usage_;
};

}  // namespace

void SetUsage(CLI::App& command, std::string usage) {
  command.formatter(std::make_shared<UsageFormatter>(std::move(usage)));
}

}  // namespace tl
