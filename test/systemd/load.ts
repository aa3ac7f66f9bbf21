// Code for Node inside of a machine: a service, and visitors of it who count what they got.

/** Answers after a moment, so that requests run whenever a connector stops. */
export const origin = `require('http').createServer((q,r)=>setTimeout(()=>r.end('origin\\n'),200)).listen(3000,'127.0.0.1')`;
/** Visitors without a pause, eight at a time, until the file appears; prints how many answers were right and which were not. */
export const load = `const http=require('http'),fs=require('fs');const bad=[];let good=0;
const ask=()=>new Promise(done=>{http.get({host:'127.0.0.1',port:8080,agent:false,headers:{host:'app.localhost'}},r=>{let t='';
r.on('data',c=>t+=c);r.on('end',()=>{r.statusCode===200&&t==='origin\\n'?good++:bad.push(r.statusCode+' '+t);done()})})
.on('error',e=>{bad.push(e.message);done()})});
(async()=>{await Promise.all(Array.from({length:8},async()=>{while(!fs.existsSync('/run/enough'))await ask()}));
console.log(JSON.stringify({good,bad}))})()`;
