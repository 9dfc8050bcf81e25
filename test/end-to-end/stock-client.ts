// What a stock tofu needs to use the server: TLS, which ends here as in an Ingress, credentials for its host, and the cloud block of docs/cli.md.
// Used by the tests of stock clients.
import { once } from "node:events"
import { readFileSync, writeFileSync } from "node:fs"
import { request } from "node:http"
import { createServer } from "node:https"
import type { AddressInfo } from "node:net"
import { join } from "node:path"
import { type Authority, authority, type Signed } from "../http/certificates.ts"

const documented = /^ {4}terraform \{\n {6}cloud \{\n.*?^ {4}\}\n/msu.exec(readFileSync("docs/cli.md", "utf8"))?.[0] ?? ""

/** Passes on to `target`, the URL of a server that speaks plain HTTP, what is asked by TLS on a free port of localhost. */
const startProxy = async ({ cert, key }: Signed, target: string) => {
  const proxy = createServer({ cert, key }, (asked, answer) => {
    const { headers, method, url } = asked
    const passed = request(target + (url ?? ""), { method, headers: { ...headers, "x-forwarded-proto": "https" } }, (got) => {
      answer.writeHead(got.statusCode ?? 502, got.headers)
      got.pipe(answer)
    })
    passed.on("error", () => answer.destroy())
    answer.on("close", () => passed.destroy())
    asked.pipe(passed)
  }).listen(0, "127.0.0.1")
  await once(proxy, "listening")
  return proxy
}

export class StockClient {
  /** What tofu finds in its environment. */
  readonly env: Readonly<Record<string, string>>
  private readonly proxy: Awaited<ReturnType<typeof startProxy>>
  private readonly host: string

  /** Makes one in `folder`, an empty directory, that uses the server at `url` with this token. */
  static async of(folder: string, url: string, token: string): Promise<StockClient> {
    const ca = authority(folder)
    return new StockClient(folder, ca, await startProxy(ca.sign("server"), url), token)
  }

  private constructor(folder: string, { file }: Authority, proxy: StockClient["proxy"], token: string) {
    this.proxy = proxy
    this.host = `localhost:${(proxy.address() as AddressInfo).port}`
    const settings = join(folder, "tofu.rc")
    writeFileSync(settings, `credentials "${this.host}" {\n  token = "${token}"\n}\n`, { mode: 0o600 })
    this.env = { SSL_CERT_FILE: file, TF_CLI_CONFIG_FILE: settings, TF_IN_AUTOMATION: "1" }
  }

  /** Returns a file that leaves a configuration's workspace to the server. */
  cloud(workspace: string): string {
    return documented.replace("agent-job.example.com", this.host).replace(`"demo"`, `"${workspace}"`)
  }

  async end(): Promise<void> {
    this.proxy.close()
    this.proxy.closeAllConnections()
    await once(this.proxy, "close")
  }
}
