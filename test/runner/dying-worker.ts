// A worker to be killed: runs one command through the exec loop in the directory of its first argument, and passes its output on.
// Started by exec-loop.test.ts, as a process of its own.
import { Effect, Stream } from "effect"
import { ExecLoop } from "../../src/worker/engine/exec-loop.ts"

const [directory = "", text = "", interrupt] = process.argv.slice(2)

await Effect.runPromise(
  Effect.gen(function*() {
    const execLoop = yield* ExecLoop
    const running = yield* execLoop.run({ argv: ["sh", "-c", text], env: {}, cwd: directory })
    yield* Stream.runForEach(running.output, ({ bytes }) => {
      process.stdout.write(bytes)
      return interrupt === "interrupt" ? running.signal("INT") : Effect.void
    })
  }).pipe(Effect.scoped, Effect.provide(ExecLoop.layer({ directory, startDeadline: "30 seconds" })))
)
