// Which proxy a failed request is said to have gone through, without the password of its URL.
import { expect, it } from "@effect/vitest"
import { chosenProxy } from "../../src/http/chosen-proxy.ts"

const http = { httpProxy: "http://me:s3cret@proxy.example.com:3128", httpsProxy: "", noProxy: "" }
const both = { ...http, httpsProxy: "http://secure.example.com:3129" }
const first = { variable: "HTTP_PROXY", address: "proxy.example.com:3128" }

it.each([
  { given: "no proxy", settings: { httpProxy: "", httpsProxy: "", noProxy: "" }, url: "http://a.example", proxy: undefined },
  { given: "a proxy of http", settings: http, url: "http://a.example", proxy: first },
  { given: "the only proxy", settings: http, url: "https://a.example", proxy: first },
  {
    given: "a proxy of https",
    settings: both,
    url: "https://a.example",
    proxy: { variable: "HTTPS_PROXY", address: "secure.example.com:3129" }
  },
  { given: "a proxy that is no URL", settings: { ...http, httpProxy: "10.0.0.1" }, url: "http://a.example", proxy: undefined },
  { given: "a host without one", settings: { ...http, noProxy: "b.example, A.example" }, url: "http://a.example", proxy: undefined },
  { given: "a domain without one", settings: { ...http, noProxy: ".example" }, url: "http://a.example", proxy: undefined },
  { given: "a host below a name without one", settings: { ...http, noProxy: "a.example" }, url: "http://b.a.example", proxy: undefined },
  { given: "only what is below a domain", settings: { ...http, noProxy: "*.a.example" }, url: "http://a.example", proxy: first },
  { given: "a name with the last dot", settings: { ...http, noProxy: "a.example." }, url: "http://a.example", proxy: undefined },
  { given: "a host with the last dot", settings: { ...http, noProxy: "a.example" }, url: "http://a.example.", proxy: undefined },
  { given: "another host", settings: { ...http, noProxy: "ba.example" }, url: "http://a.example", proxy: first },
  { given: "another port", settings: { ...http, noProxy: "a.example:81" }, url: "http://a.example", proxy: first },
  { given: "its port", settings: { ...http, noProxy: "a.example:80" }, url: "http://a.example", proxy: undefined },
  { given: "an IPv6 address", settings: { ...http, noProxy: "::1" }, url: "http://[::1]:8080", proxy: undefined },
  { given: "everything", settings: { ...http, noProxy: "*" }, url: "http://a.example", proxy: undefined }
])("is right for $given", ({ proxy, settings, url }) => expect(chosenProxy(settings, url)).toEqual(proxy))
