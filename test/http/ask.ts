// Requests the URL in its first argument from our server, as the worker would, and prints the answer or why there is none. The bundle of
// roots that Node read when it started has the text of the second argument by then, if there is one.
// Run as a process of its own by test/http/connections.test.ts.
import { Console, Effect } from "effect"
import { HttpClient } from "effect/http"
import { writeFileSync } from "node:fs"
import { toServer } from "../../src/http/connections.ts"
import { failureInWords } from "../../src/http/failure-words.ts"

const [url = "", roots] = process.argv.slice(2)
if (roots !== undefined) writeFileSync(process.env["NODE_EXTRA_CA_CERTS"] ?? "", roots)

await Effect.flatMap(HttpClient.HttpClient, (http) => Effect.flatMap(http.get(url), ({ text }) => text)).pipe(
  Effect.catch((error) => Effect.succeed(failureInWords(error))),
  Effect.flatMap(Console.log),
  Effect.provide(toServer({ connections: 1 })),
  Effect.runPromise
)
