export const id=1646;export const ids=[1646];export const modules={61646:(e,i,o)=>{o.r(i),o.d(i,{outputs:()=>f,run:()=>l,settings:()=>c});var t=o(7391),s=o(95144),a=o(71976),m=o(1732),r=o(13825),n=o(29692),d=o(61337);let c={family:s.T1,...(0,d.r1)("latest"),baseImage:r.f,...s.sh},f={amiId:"The image.",from:"`selector`, or `base-image` if no image matched.",reason:"Why this image was chosen.",commit:"The commit that it was built from, if known.",version:"Its version, if known.",verdict:"passed, failed, none or foreign."};async function l(e,i){let{report:o}=i,s=(0,d.dz)(e),{image:r,reason:c,from:f}=await o.step(`Resolve ${e.image}`,()=>(0,n.g)(e,i,{orElse:e.baseImage})),l=(0,m.Vj)(r,s);return o.info(`${r.id}: ${c}`),o.summary(`### ${(0,t.Qq)(e.family)}: ${(0,t.aY)(r.id)}

${(0,t.aY)(e.image)}: ${(0,t.Qq)(c)}.

Verdict: ${(0,t.Qq)(l.reason)}.`),{outcome:"done",outputs:{amiId:r.id,from:f,reason:c,commit:(0,a.D_)(r,s,"commit"),version:(0,a.D_)(r,s,"version"),verdict:l.result}}}}};
