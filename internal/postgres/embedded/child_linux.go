package embedded

import "syscall"

// dieWithParent makes the server shut down at once when we are killed; it recovers at the next start.
func dieWithParent(a *syscall.SysProcAttr) { a.Pdeathsig = syscall.SIGQUIT }
