// The filters of lists and maps, for the table in template_filters.cc.
#pragma once

#include "text/template_renderer.h"

namespace tl::jinja {

using FilterFunction = Value (*)(Renderer&, const Value&, Arguments&);

namespace filters {
Value DictSort(Renderer& r, const Value& value, Arguments& arguments);
Value First(Renderer& r, const Value& value, Arguments& arguments);
Value Items(Renderer& r, const Value& value, Arguments& arguments);
Value Join(Renderer& r, const Value& value, Arguments& arguments);
Value Last(Renderer& r, const Value& value, Arguments& arguments);
Value List(Renderer& r, const Value& value, Arguments& arguments);
Value Map(Renderer& r, const Value& value, Arguments& arguments);
Value Max(Renderer& r, const Value& value, Arguments& arguments);
Value Min(Renderer& r, const Value& value, Arguments& arguments);
Value Reject(Renderer& r, const Value& value, Arguments& arguments);
Value RejectAttribute(Renderer& r, const Value& value, Arguments& arguments);
Value Reverse(Renderer& r, const Value& value, Arguments& arguments);
Value Select(Renderer& r, const Value& value, Arguments& arguments);
Value SelectAttribute(Renderer& r, const Value& value, Arguments& arguments);
Value Sort(Renderer& r, const Value& value, Arguments& arguments);
Value Sum(Renderer& r, const Value& value, Arguments& arguments);
Value Unique(Renderer& r, const Value& value, Arguments& arguments);
}  // namespace filters

}  // namespace tl::jinja
