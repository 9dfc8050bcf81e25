// Requests the URL in its first argument from our server, as the worker would, and prints the answer or why there is none.
// Run as a process of its own by test/http/connections.test.ts.
import { Console, Effect } from "effect"
import { HttpClient } from "effect/http"
import { reasonOf } from "../../src/http/cause.ts"
import { toServer } from "../../src/http/connections.ts"

await Effect.flatMap(HttpClient.HttpClient, (http) => Effect.flatMap(http.get(process.argv[2] ?? ""), ({ text }) => text)).pipe(
  Effect.catch((error) => Effect.succeed(reasonOf(error))),
  Effect.flatMap(Console.log),
  Effect.provide(toServer({ connections: 1 })),
  Effect.runPromise
)
