// Absolute URLs, since stock clients take no others; those that clients use without a token carry a secret as their last part.
// Used by the documents and views.
import * as NodeHttpServerRequest from "@effect/platform-node/NodeHttpServerRequest"
import type { HttpServerRequest } from "effect/http"
import { TLSSocket } from "node:tls"
import type { Step } from "../../core/run/run-machine.ts"
import { stepId } from "../store/ids.ts"
import type { Tokens } from "./tokens.ts"

type Secrets = Tokens["Service"]

const ownScheme = (request: HttpServerRequest.HttpServerRequest): string =>
  NodeHttpServerRequest.toIncomingMessage(request).socket instanceof TLSSocket ? "https" : "http"

/** Returns the address by which the client reached us: --public-url, or what its request says. */
export const baseUrl = (publicUrl: string | undefined, request: HttpServerRequest.HttpServerRequest): string => {
  if (publicUrl !== undefined) return publicUrl.replace(/\/+$/u, "")
  const [asked = ""] = (request.headers["x-forwarded-proto"] ?? ownScheme(request)).split(",") // each proxy of a chain may add the one that it was asked by
  return `${asked.trim().toLowerCase() === "https" ? "https" : "http"}://${request.headers.host ?? "localhost"}`
}

/** Returns the path below which clients reach us, as --public-url has it, without a slash at its end. */
export const basePath = (publicUrl: string | undefined): string =>
  publicUrl === undefined ? "" : new URL(publicUrl).pathname.replace(/\/+$/u, "")

export const logUrl = (secrets: Secrets, base: string, runId: string, step: Step): string => {
  const id = stepId(runId, step)
  return `${base}/api/v2/logs/${id}/${secrets.secretOf(`log ${id}`)}`
}

export const uploadUrl = (secrets: Secrets, base: string, configurationVersionId: string): string =>
  `${base}/api/v2/uploads/${configurationVersionId}/${secrets.secretOf(`upload ${configurationVersionId}`)}`

export const isLogSecret = (secrets: Secrets, id: string, secret: string): boolean => secrets.isSecretOf(`log ${id}`, secret)
export const isUploadSecret = (secrets: Secrets, id: string, secret: string): boolean => secrets.isSecretOf(`upload ${id}`, secret)
