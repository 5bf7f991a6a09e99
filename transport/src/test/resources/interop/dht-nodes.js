// Nodes of npm's bittorrent-dht on the loopback address: node dht-nodes.js COUNT ENTRY_PORT
// stdin, a line each: "announce NODE HASH PORT" -> "announced", "lookup NODE HASH" -> "found PORT,..."
import DHT from 'bittorrent-dht'
import readline from 'readline'

const [count, entry] = process.argv.slice(2).map(Number)
const nodes = []
for (let i = 0; i < count; i++) {
  const node = new DHT({ bootstrap: [`127.0.0.1:${entry}`], timeout: 1000 })
  node.on('error', error => console.error(error))
  await new Promise(resolve => node.listen(0, '127.0.0.1', resolve))
  await new Promise(resolve => node.once('ready', resolve))
  nodes.push(node)
}
console.log('ready ' + nodes.map(node => node.address().port).join(','))

readline.createInterface({ input: process.stdin }).on('line', line => {
  const [what, index, hash, port] = line.split(' ')
  const node = nodes[Number(index)]
  if (what === 'announce') {
    node.announce(hash, Number(port), error => console.log(error ? 'failed ' + error : 'announced'))
  } else {
    const ports = new Set()
    const heard = (peer, of) => { if (of.toString('hex') === hash) ports.add(peer.port) }
    node.on('peer', heard)
    node.lookup(hash, () => {
      node.removeListener('peer', heard)
      console.log('found ' + [...ports].join(','))
    })
  }
}).on('close', () => process.exit())
