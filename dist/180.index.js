export const id=180;export const ids=[180];export const modules={3180:(o,s,t)=>{t.d(s,{fromEnv:()=>r.sF});var r=t(9479)}};
