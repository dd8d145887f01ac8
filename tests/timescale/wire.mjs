// The messages of PostgreSQL's wire protocol 3.0, and the rows inside COPY data.

export const int16 = (n) => { const b = Buffer.alloc(2); b.writeInt16BE(n); return b }
export const int32 = (n) => { const b = Buffer.alloc(4); b.writeInt32BE(n); return b }
export const cstring = (s) => Buffer.from(`${s}\0`)

export function message(type, ...parts) {
  const body = Buffer.concat(parts)
  return Buffer.concat([Buffer.from(type), int32(body.length + 4), body])
}

export const query = (sql) => message('Q', cstring(sql))
export const ready = (status) => message('Z', Buffer.from(status))

export function errorResponse(severity, code, text) {
  const fields = [['S', severity], ['V', severity], ['C', code], ['M', text]]
  return message('E', ...fields.map(([key, value]) => cstring(key + value)), Buffer.from([0]))
}

export function* frames(bytes) {
  for (let at = 0; at + 5 <= bytes.length;) {
    const size = 1 + bytes.readInt32BE(at + 1)
    yield { type: String.fromCharCode(bytes[at]), whole: bytes.subarray(at, at + size) }
    at += size
  }
}

// Statement names are per connection in PostgreSQL and shared here: mark them with their owner.
export function withOwnStatements(packet, owner) {
  const type = String.fromCharCode(packet[0])
  let at
  if (type === 'P') at = 5
  else if (type === 'B') at = packet.indexOf(0, 5) + 1
  else if ('DC'.includes(type) && packet[5] === 0x53 /* S: a statement */) at = 6
  else return packet
  if (packet[at] === 0) return packet
  return message(type, packet.subarray(5, at), Buffer.from(`c${owner}.`), packet.subarray(at))
}

// PostgreSQL sends one row a message, and some clients count on it.
export function* textRows(data) {
  for (let at = 0; at < data.length;) {
    const end = data.indexOf(10, at) + 1 || data.length
    yield data.subarray(at, end)
    at = end
  }
}

export function* binaryRows(data) {
  const header = 19 // signature, flags and the length of an empty extension
  for (let from = 0, at = header; at < data.length; from = at) {
    let fields = data.readInt16BE(at)
    at += 2
    for (; fields > 0; fields--) at += 4 + Math.max(data.readInt32BE(at), 0)
    yield data.subarray(from, at)
  }
}

// The number of columns, read off the first row.
export function columns(data, binary) {
  if (data.length === 0) return 0
  if (binary) return Math.max(data.readInt16BE(19), 0)
  return textRows(data).next().value.filter((byte) => byte === 9).length + 1
}
