// SPDX-License-Identifier: Apache-2.0
// A reference to something callable, for callbacks that last no longer than the call: never allocates.
#pragma once

#include <memory>
#include <type_traits>
#include <utility>

namespace flightrec::record {

template <class Signature>
class FunctionRef;

// Does not own what it refers to: pass it down, never store it.
template <class R, class... Args>
class FunctionRef<R(Args...)> {
  public:
    template <class F>
    requires(!std::is_same_v<std::remove_cvref_t<F>, FunctionRef> && std::is_invocable_r_v<R, F&, Args...>)
        FunctionRef(F&& f)  // NOLINT(google-explicit-constructor): a lambda is passed as it is
        : object_(const_cast<void*>(static_cast<const void*>(std::addressof(f)))),
          call_([](void* object, Args... args) -> R {
              return (*static_cast<std::remove_reference_t<F>*>(object))(std::forward<Args>(args)...);
          }) {}
    R operator()(Args... args) const { return call_(object_, std::forward<Args>(args)...); }

  private:
    void* object_;
    R (*call_)(void*, Args...);
};

}  // namespace flightrec::record
