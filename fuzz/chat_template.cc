// Any bytes as a chat template, and after a NUL as the conversation it writes.
// Both may be refused, by a tl::Error and nothing else; what is written stays
// within its limit, and is the same the second time.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"
#include "promises.h"
#include "text/template.h"

namespace tl {
namespace {

constexpr ChatLimits kLimits{.template_bytes = 1 << 16,
                             .output_bytes = 1 << 16,
                             .work = 200'000,
                             .work_per_byte = 1};
constexpr std::string_view kConversation =
    R"([{"role": "system", "content": " Be brief.\n"},)"
    R"( {"role": "user", "content": "Grüße? 1"},)"
    R"( {"role": "assistant", "content": null, "tool_calls": [{"id": "a1",)"
    R"( "function": {"name": "f", "arguments": {"x": [1, 2.5, true]}}}]},)"
    R"( {"role": "tool", "content": [{"type": "text", "text": "ok"}]}])";

void Try(std::string_view input) {
  const size_t nul = input.find('\0');
  const bool own = nul != std::string_view::npos;
  ChatRequest request;
  request.messages =
      jinja::ParseJson(own ? input.substr(nul + 1) : kConversation);
  request.tools = request.messages;
  request.bos_token = "<s>";
  request.add_generation_prompt = true;
  const ChatTemplate parsed =
      ChatTemplate::Parse(input.substr(0, nul), kLimits);
  const std::string written = parsed.Render(request);
  Promise(written.size() <= kLimits.output_bytes, "what is written is bounded");
  Promise(parsed.Render(request) == written, "the same is written again");
}

}  // namespace
}  // namespace tl

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const tl::Budget budget(size);
  try {
    tl::Try({reinterpret_cast<const char*>(data), size});
  } catch (const tl::Error&) {
  }
  return 0;
}
