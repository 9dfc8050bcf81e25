// Which proxy a request goes through, so that a failure can name it: the rule is that of undici's EnvHttpProxyAgent.
// Pure. Of a proxy it returns host and port alone, since its URL may have a password.
// Used by http/connections, and as a type in cli/server.

/** What the environment says; empty where it says nothing. */
interface ProxySettings {
  readonly httpProxy: string
  readonly httpsProxy: string
  readonly noProxy: string
}

export interface ChosenProxy {
  readonly variable: "HTTP_PROXY" | "HTTPS_PROXY"
  /** Its host, and its port if that is not the usual one. */
  readonly address: string
}

/** Returns a name without the dot at its end, which says only that the name is a whole one. */
const unpointed = (name: string): string => name.replace(/(?<=.)\.$/u, "")

const isDirect = (noProxy: string, { hostname, port, protocol }: URL): boolean => {
  const host = unpointed(hostname.replace(/^\[(.+)\]$/u, "$1"))
  const hostPort = port || (protocol === "https:" ? "443" : "80")
  return noProxy.toLowerCase().split(/[,\s]+/u).filter((_) => _ !== "").some((entry) => {
    const [, inBrackets, plain, entryPort = hostPort] = /^(?:\[(.+)\]|([^:]+))(?::(\d+))?$/u.exec(entry) ?? [entry, entry]
    const name = inBrackets ?? plain ?? entry
    if (entryPort !== hostPort) return false
    const domain = unpointed(name.replace(/^\*?\./u, ""))
    return name === "*" || host.endsWith(`.${domain}`) || (host === domain && !name.startsWith("*."))
  })
}

/** Returns the proxy for requests to a URL, if they go through one. */
export const chosenProxy = ({ httpProxy, httpsProxy, noProxy }: ProxySettings, url: string): ChosenProxy | undefined => {
  const to = new URL(url)
  const variable = to.protocol === "https:" && httpsProxy !== "" ? "HTTPS_PROXY" : "HTTP_PROXY"
  const proxy = variable === "HTTPS_PROXY" ? httpsProxy : httpProxy
  return proxy === "" || !URL.canParse(proxy) || isDirect(noProxy, to) ? undefined : { variable, address: new URL(proxy).host }
}
