// Requests the URL in its first argument from our server, as the worker would, and prints the answer or why there is none.
// Run as a process of its own by test/http/connections.test.ts.
import { Console, Effect } from "effect"
import { HttpClient } from "effect/http"
import { toServer } from "../../src/http/connections.ts"
import { causeOf } from "../../src/worker/platform.ts"

await Effect.flatMap(HttpClient.HttpClient, (http) => Effect.flatMap(http.get(process.argv[2] ?? ""), ({ text }) => text)).pipe(
  Effect.catch((error) => Effect.succeed(causeOf(error))),
  Effect.flatMap(Console.log),
  Effect.provide(toServer({ connections: 1 })),
  Effect.runPromise
)
