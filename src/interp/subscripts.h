// Reading and writing x[...] and x.name for every kind of value.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "interp/bytecode.h"
#include "interp/tensors.h"
#include "interp/value.h"

namespace tl {

// The subscripts whose values lie in the registers from `registers`.
std::vector<SubscriptValue> SubscriptsAt(const SubscriptForms& forms,
                                         const Value* registers);
// Empties those registers.
void ClearSubscripts(const SubscriptForms& forms, Value* registers);

Value GetIndex(Tensors& tensors, const Value& object, const Value& key,
               Span where);
Value GetSubscripts(Tensors& tensors, const Value& object,
                    std::span<const SubscriptValue> subscripts, Span where);
// x[...] = value, where x is a variable or a part of one.
void SetIndex(Tensors& tensors, Value& object, const Value& key, Value value,
              Span where);
void SetSubscripts(Tensors& tensors, Value& object,
                   std::span<const SubscriptValue> subscripts, Value value,
                   Span where);

// `x.name`; fails if there is no such member.
Value GetMember(Tensors& tensors, const Value& object, std::string_view name,
                Span where);
// The same; unset if there is no such member.
Value FindMemberOf(Tensors& tensors, const Value& object, std::string_view name,
                   Span where);
void SetMember(Value& object, std::string_view name, Value value);

// The position that an index means; fails if it is out of range.
size_t PositionOf(int64_t index, size_t count, std::string_view what);

}  // namespace tl
