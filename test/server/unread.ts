// A client that asks and reads nothing, so that what it is answered with stays in the server.
// Used by the tests of limits on such answers.
import { Effect } from "effect"
import { connect, type Socket } from "node:net"
import { type Answer, ask } from "./live-server.ts"

/** A connection whose client reads nothing until it is resumed. */
export const unreadOf = (url: string) =>
  Effect.acquireRelease(
    Effect.sync(() => connect({ host: "127.0.0.1", port: Number(new URL(url).port), noDelay: true }).on("error", () => undefined).pause()),
    (socket) => Effect.sync(() => socket.destroy())
  )

/** More than the buffers of a network take. */
const mostBytes = 100 * 1024 * 1024

/**
 * Asks for the same on the connection until it is refused beside it thirty times in a row, and returns the last refusal. The buffers of the
 * network take some megabytes before the server has to hold an answer. The requests come one by one, because the server closes a
 * connection on which too much is asked ahead.
 */
export const untilRefused = Effect.fnUntraced(function*(unread: Socket, url: string, token: string | undefined, refused: 429 | 503) {
  const { pathname, search } = new URL(url)
  const head = [`GET ${pathname}${search} HTTP/1.1`, "host: a", ...token === undefined ? [] : [`authorization: Bearer ${token}`]]
  const refusals: Array<Answer> = []
  for (let bytes = 0; refusals.length < 30;) {
    const answer = yield* ask(url, token)
    if (answer.status === refused) {
      refusals.push(answer)
      continue
    }
    if (answer.status !== 200) throw new Error(`expected 200 or ${refused}, got ${answer.status}: ${answer.text}`)
    if (bytes > mostBytes) {
      throw new Error(`${bytes} bytes of answers are unread, and yet another is given out instead of refused with ${refused}`)
    }
    unread.write(`${head.join("\r\n")}\r\n\r\n`)
    bytes += answer.text.length
    refusals.length = 0
  }
  return refusals.at(-1)
})
