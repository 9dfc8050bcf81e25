// Has a file get all that is printed to it, or the command fail: Node writes to a file once, and where the disk then is full it takes the
// part that fitted for all of it.
// Imported by main.ts before anything is printed.
import { fstatSync, writeFileSync } from "node:fs"

for (const stream of [process.stdout, process.stderr]) {
  if (!fstatSync(stream.fd).isFile()) continue
  stream._write = (bytes: Buffer, _, done) => {
    try {
      writeFileSync(stream.fd, bytes)
    } catch (error) {
      return done(error instanceof Error ? error : new Error(String(error)))
    }
    done()
  }
}
