// Keeps a SIGTERM that comes while the program is still being loaded until somebody listens for it. The first process of a container has to:
// for it the kernel drops a signal that nobody listens for, and a Pod deleted as it starts would go on until its grace period is over.
// Imported by main.ts before all else; what is loaded is evaluated in one go, so the signal is heard after main.ts has begun to listen.
const keep = () => {}
process.on("SIGTERM", keep)
setImmediate(() => process.removeListener("SIGTERM", keep))
