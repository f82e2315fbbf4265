import { chromium } from "playwright-core";
const base=process.argv[2]||"http://127.0.0.1:5199"; const out="/tmp/shots"; 
const only=process.argv[3]; const lang=process.argv[4]||"en"; const theme=process.argv[5]||"light"; const w=+(process.argv[6]||1280);
const b=await chromium.launch({executablePath:"/usr/bin/chromium",args:["--headless","--no-sandbox","--disable-gpu","--disable-quic","--no-first-run","--disable-background-networking","--disable-component-update","--disable-sync"]});
const pages={overview:"/",search:"/search?from=-24h",event:"/search?from=-24h&event=telemetry/0/99996",bad:"/search?q=user.name:(&from=-24h",alerts:"/alerts",alert:"/alerts/a000000000000001",groups:"/alerts?group=rule",incidents:"/incidents",incident:"/incidents/INC-000001",effects:"/effects",sources:"/sources",rules:"/rules",rule:"/rules/rule-0",live:"/search?live=1"};
const c=await b.newContext({viewport:{width:w,height:w<500?844:800},locale:"en-GB"});
await c.addInitScript(([l,t])=>{localStorage.setItem("custos.language",l);localStorage.setItem("mantine-color-scheme-value",t)},[lang,theme]);
const p=await c.newPage(); p.on("console",m=>{if(["error","warning"].includes(m.type()))console.log(m.type(),m.text().slice(0,300))}); p.on("pageerror",e=>console.log("PAGEERROR",e.message));
import {mkdirSync} from "node:fs"; mkdirSync(out,{recursive:true});
for(const [n,u] of Object.entries(pages)){ if(only&&only!=="all"&&!only.split(",").includes(n))continue; await p.goto(base+u); await p.waitForLoadState("networkidle",{timeout:5000}).catch(()=>{}); await p.waitForTimeout(400); await p.screenshot({path:`${out}/${n}-${lang}-${theme}-${w}.png`}); }
await b.close();
