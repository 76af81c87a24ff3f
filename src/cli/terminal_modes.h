// What a line editor changes about the terminal (no echo, no lines), put back
// when a signal ends the process in the middle of a line.
#pragma once

namespace tl {

// The modes as they are now, before they are changed, are those to go back to.
// SIGTERM and SIGHUP do so from here on, unless they are handled otherwise.
void RememberTerminalModes();

// For signal handlers. Nothing where none are remembered.
void RestoreTerminalModes();

}  // namespace tl
