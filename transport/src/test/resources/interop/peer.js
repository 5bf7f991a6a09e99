// The other side of NoiseInteropTest: one handshake over stdin and stdout, each message a line of
// hexadecimal, then echoes of transport messages. Arguments: pattern, initiator|responder, psk (hex).
const readline = require('readline')
const Noise = require('noise-handshake')
const Cipher = require('noise-handshake/cipher')

const [pattern, role, psk] = process.argv.slice(2)
const initiator = role === 'initiator'
const noise = new Noise(pattern, initiator, null, psk ? { psk: Buffer.from(psk, 'hex') } : {})
noise.initialise(Buffer.from('interop'))

const say = bytes => process.stdout.write(Buffer.from(bytes).toString('hex') + '\n')
let sending = null
let receiving = null

function speak () {
  say(noise.send(Buffer.from('from ' + role)))
  check()
}

function check () {
  if (noise.complete && !sending) {
    sending = new Cipher(noise.tx)
    receiving = new Cipher(noise.rx)
    say(noise.hash)
  }
}

readline.createInterface({ input: process.stdin }).on('line', line => {
  const bytes = Buffer.from(line, 'hex')
  if (receiving) {
    say(sending.encrypt(receiving.decrypt(bytes)))
    return
  }
  const payload = noise.recv(bytes).toString()
  if (payload !== 'from test') throw new Error('unexpected payload ' + payload)
  if (noise.complete) check()
  else speak()
})

if (initiator) speak()
