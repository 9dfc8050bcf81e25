// The runs of the matrix make things one after the other, each of which tells a listener outside the cluster before the engine knows it.
// So the tests know what was made, and how often, however the run ends.
// Used by matrix.kills.test.ts.
import { createServer } from "node:http"
import type { Files } from "../end-to-end/product.ts"

/** The address of the node for Pods. This process runs on the same node. */
const nodeAddress = "10.200.0.1"

export const things = ["one", "two", "three", "four", "five"] as const

export interface Listener extends AsyncDisposable {
  readonly url: string
  /** Returns how often each thing of a run was made. */
  readonly made: (key: string) => ReadonlyMap<string, number>
  /** Completes when that thing of a run has been made. */
  readonly until: (key: string, thing: string) => Promise<void>
  /** Lets that thing of a run wait for its answer, so that the run does not end before a blow has landed. Returns what ends the wait. */
  readonly hold: (key: string, thing: string) => () => void
}

export const listen = async (): Promise<Listener> => {
  const counts = new Map<string, Map<string, number>>()
  const waiting = new Map<string, () => void>()
  const held = new Map<string, Promise<void>>()
  const server = createServer(async ({ url = "" }, response) => {
    const [, key = "", thing = ""] = url.split("/")
    const made = counts.get(key) ?? new Map<string, number>()
    counts.set(key, made.set(thing, (made.get(thing) ?? 0) + 1))
    waiting.get(`${key}/${thing}`)?.()
    await held.get(`${key}/${thing}`)
    response.end("made\n")
  })
  await new Promise<void>((resolve) => server.listen(0, "0.0.0.0", resolve))
  const address = server.address()
  const port = typeof address === "object" && address !== null ? address.port : 0
  return {
    url: `http://${nodeAddress}:${port}`,
    made: (key) => counts.get(key) ?? new Map(),
    until: (key, thing) =>
      counts.get(key)?.has(thing) === true ? Promise.resolve() : new Promise((resolve) => waiting.set(`${key}/${thing}`, resolve)),
    hold: (key, thing) => {
      const { promise, resolve } = Promise.withResolvers<void>()
      held.set(`${key}/${thing}`, promise)
      return resolve
    },
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.closeAllConnections()
        server.close(() => resolve())
      })
  }
}

const thing = (url: string, name: string, before: string | undefined): string => `
resource "terraform_data" "${name}" {
  input = "${name}"
  provisioner "local-exec" {
    command = "wget -q -O - ${url}/${name} && sleep 0.7"
  }
  ${before === undefined ? "" : `depends_on = [terraform_data.${before}]`}
}
`

export const workload = ({ url }: Listener, key: string): Files => ({
  "main.tf": things.map((name, index) => thing(`${url}/${key}`, name, things[index - 1])).join("")
})
