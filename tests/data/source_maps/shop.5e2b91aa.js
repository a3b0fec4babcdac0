(()=>{window.checkout=n;var e=class{constructor(t){this.items=t}total(){return this.items.map(t=>t.price).reduce((t,o)=>t+o)}},r=c=>new e(c).total();function n(c){return{total:r(c)}}})();
//# sourceMappingURL=shop.5e2b91aa.js.map
