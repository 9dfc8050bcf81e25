// A network mirror with one provider, over https. Its lists need a token; its archives do not, because the engines fetch those without one.
// Used by test/worker/stage/provider-mirrors.cluster.test.ts.
import { Effect } from "effect"
import { readFileSync } from "node:fs"
import { createServer } from "node:https"
import { crc32 } from "node:zlib"
import type { Signed } from "../../http/certificates.ts"
import { listening } from "../../http/forward-proxy.ts"

/** A zip archive of one program, not compressed. */
const zipped = (name: string, content: Buffer): Buffer => {
  const sizes = Buffer.alloc(12)
  sizes.writeUInt32LE(crc32(content), 0)
  sizes.writeUInt32LE(content.length, 4)
  sizes.writeUInt32LE(content.length, 8)
  const common = Buffer.concat([Buffer.from([20, 0, 0, 0, 0, 0, 0, 0, 33, 0]), sizes, Buffer.from([name.length, 0, 0, 0])])
  const local = Buffer.concat([Buffer.from("PK\x03\x04", "latin1"), common, Buffer.from(name), content])
  const entry = Buffer.concat([
    Buffer.from("PK\x01\x02", "latin1"),
    Buffer.from([20, 3]),
    common,
    Buffer.alloc(6),
    Buffer.from([0, 0, 0xed, 0x81]),
    Buffer.alloc(4),
    Buffer.from(name)
  ])
  const end = Buffer.alloc(22)
  end.write("PK\x05\x06", "latin1")
  end.writeUInt16LE(1, 8)
  end.writeUInt16LE(1, 10)
  end.writeUInt32LE(entry.length, 12)
  end.writeUInt32LE(local.length, 16)
  return Buffer.concat([local, entry, end])
}

/** Serves the provider whose program is the file `program`; returns the URL and the paths of all requests that were not refused. */
export const mirrorServer = Effect.fnUntraced(function*(identity: Signed, token: string, program: string) {
  const asked: Array<string> = []
  const platform = `linux_${process.arch === "arm64" ? "arm64" : "amd64"}`
  const archive = zipped("terraform-provider-time_v0.14.2", readFileSync(program))
  const files = new Map<string, string | Buffer>([
    ["/mirror/registry.opentofu.org/hashicorp/time/index.json", JSON.stringify({ versions: { "0.14.2": {} } })],
    ["/mirror/registry.opentofu.org/hashicorp/time/0.14.2.json", JSON.stringify({ archives: { [platform]: { url: "time.zip" } } })],
    ["/mirror/registry.opentofu.org/hashicorp/time/time.zip", archive]
  ])
  const port = yield* listening(createServer({ cert: identity.cert, key: identity.key }, ({ headers, url = "" }, answer) => {
    if (url.endsWith(".json") && headers.authorization !== `Bearer ${token}`) return void answer.writeHead(401).end()
    asked.push(url)
    const file = files.get(url)
    answer.writeHead(file === undefined ? 404 : 200, { "content-type": url.endsWith(".json") ? "application/json" : "application/zip" })
      .end(file)
  }))
  return { url: `https://localhost:${port}/mirror/`, asked }
})
