// A certificate authority that lives for one test, made with openssl, and the certificates that it signs.
// Used by the tests of connections, of mirrors and of the CLI's client, by test/faults/faulty-api and test/kubernetes/silent-webhook.
import { execFileSync } from "node:child_process"
import { mkdirSync, readFileSync } from "node:fs"
import { join } from "node:path"

export interface Signed {
  readonly cert: string
  readonly key: string
}

export interface Authority {
  /** Path of its certificate, in PEM. */
  readonly file: string
  readonly cert: string
  /** A directory with tls.crt and tls.key, as the kubelet mounts one; the certificate is for server and client. */
  readonly sign: (subject: string, alternativeNames?: string, days?: number) => Signed & { readonly directory: string }
}

const openssl = (...args: ReadonlyArray<string>) => execFileSync("openssl", args, { stdio: ["ignore", "pipe", "ignore"] })
const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]

/** Creates an authority in `place`, an empty directory. */
export const authority = (place: string): Authority => {
  const [file, key] = [join(place, "ca.crt"), join(place, "ca.key")]
  openssl("req", "-x509", ...curve, "-keyout", key, "-out", file, "-subj", "/CN=authority", "-days", "2")
  return {
    file,
    cert: readFileSync(file, "utf8"),
    sign: (subject, alternativeNames = "DNS:localhost,IP:127.0.0.1", days = 2) => {
      const directory = join(place, subject)
      mkdirSync(directory)
      const [certFile, keyFile] = [join(directory, "tls.crt"), join(directory, "tls.key")]
      openssl(
        "req",
        "-x509",
        ...curve,
        "-CA",
        file,
        "-CAkey",
        key,
        "-keyout",
        keyFile,
        "-out",
        certFile,
        "-subj",
        `/CN=${subject}`,
        "-days",
        `${days}`,
        "-addext",
        `subjectAltName=${alternativeNames}`,
        "-addext",
        "basicConstraints=critical,CA:FALSE"
      )
      return { directory, cert: readFileSync(certFile, "utf8"), key: readFileSync(keyFile, "utf8") }
    }
  }
}
