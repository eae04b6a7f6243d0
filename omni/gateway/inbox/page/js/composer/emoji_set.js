// A small set of emoji by category: [sign, words to find it by, in English and Spanish].

export const EMOJI = {
  faces: [
    ["😀", "grin happy feliz"], ["😃", "smile happy sonrisa"], ["😄", "laugh happy risa"], ["😁", "grin beam sonrisa"], ["😅", "sweat relief sudor alivio"],
    ["😂", "joy tears laugh risa lagrimas"], ["🤣", "rofl laugh carcajada"], ["🙂", "slight smile sonrisa"], ["🙃", "upside down reves"], ["😉", "wink guino"],
    ["😊", "blush smile sonrojo"], ["😇", "angel halo angel"], ["🥰", "love hearts amor"], ["😍", "heart eyes amor"], ["😘", "kiss beso"], ["😋", "yum rico"],
    ["😎", "cool sunglasses gafas"], ["🤩", "star wow estrella"], ["🥳", "party fiesta"], ["🤔", "think hmm pensar"], ["🤗", "hug abrazo"], ["🫡", "salute saludo"],
    ["😐", "neutral neutro"], ["🙄", "eye roll ojos"], ["😬", "grimace mueca"], ["😌", "relieved alivio"], ["😴", "sleep dormir"], ["😷", "mask sick mascarilla"],
    ["🤒", "fever sick fiebre"], ["😕", "confused confuso"], ["😟", "worried preocupado"], ["😮", "wow surprise sorpresa"], ["😳", "flushed verguenza"], ["🥺", "please por favor"],
    ["😢", "cry sad llorar triste"], ["😭", "sob cry llorar"], ["😱", "scream fear grito miedo"], ["😞", "disappointed decepcion"], ["😤", "huff resoplar"], ["😡", "angry enfado"],
  ],
  hands: [
    ["👍", "thumbs up yes ok si bien"], ["👎", "thumbs down no mal"], ["👌", "ok perfect perfecto"], ["🙏", "please thanks pray gracias"], ["👏", "clap aplauso"],
    ["🙌", "hooray celebrate celebrar"], ["👋", "wave hello bye hola adios"], ["🤝", "handshake deal trato"], ["✌️", "peace victory paz"], ["🤞", "fingers crossed suerte"],
    ["💪", "strong muscle fuerza"], ["👉", "right point derecha"], ["👈", "left point izquierda"], ["👆", "up point arriba"], ["👇", "down point abajo"], ["☝️", "one point uno"],
    ["✋", "stop hand alto"], ["🫶", "heart hands corazon"], ["✍️", "write escribir"], ["👀", "eyes look ojos mirar"],
  ],
  hearts: [
    ["❤️", "heart love corazon amor"], ["🧡", "orange heart naranja"], ["💛", "yellow heart amarillo"], ["💚", "green heart verde"], ["💙", "blue heart azul"], ["💜", "purple heart morado"],
    ["🖤", "black heart negro"], ["🤍", "white heart blanco"], ["💔", "broken heart roto"], ["💕", "hearts corazones"], ["✨", "sparkles brillo"], ["⭐", "star estrella"],
    ["🔥", "fire hot fuego"], ["🎉", "party tada fiesta"], ["🎊", "confetti confeti"], ["🎁", "gift regalo"], ["🎂", "cake birthday tarta cumpleanos"], ["🏆", "trophy trofeo"], ["💯", "hundred cien"],
  ],
  things: [
    ["📦", "package parcel paquete"], ["🚚", "truck delivery camion envio"], ["🛵", "scooter delivery moto"], ["✈️", "plane travel avion"], ["🚗", "car coche"], ["🏠", "house home casa"], ["🏢", "office oficina"],
    ["🏪", "shop store tienda"], ["🛒", "cart shopping carrito compra"], ["🛍️", "bags shopping bolsas"], ["💳", "card pay tarjeta pago"], ["💶", "euro money dinero"], ["💵", "dollar money dinero"],
    ["🧾", "receipt invoice factura recibo"], ["📄", "document page documento"], ["📎", "clip attachment adjunto"], ["📝", "note write nota"], ["📅", "calendar date calendario fecha"], ["⏰", "alarm clock alarma"],
    ["⏳", "hourglass wait esperar"], ["📞", "phone call telefono llamada"], ["📱", "mobile phone movil"], ["💻", "laptop computer ordenador"], ["📧", "mail email correo"], ["📍", "pin place lugar"],
    ["🗺️", "map mapa"], ["🔑", "key llave"], ["🔒", "lock closed candado"], ["🔧", "tool fix herramienta"], ["💡", "idea light luz"], ["📷", "camera photo foto"], ["🎧", "headphones auriculares"],
    ["☕", "coffee cafe"], ["🍕", "pizza"], ["🍽️", "meal restaurant comida"], ["🌞", "sun sol"], ["🌧️", "rain lluvia"], ["🌈", "rainbow arcoiris"], ["🌷", "flower flor"], ["🐶", "dog perro"], ["🐱", "cat gato"],
  ],
  signs: [
    ["✅", "check done yes hecho si"], ["❌", "cross no error"], ["❗", "exclamation important importante"], ["❓", "question pregunta"], ["⚠️", "warning aviso"], ["ℹ️", "info informacion"],
    ["➡️", "arrow right flecha derecha"], ["⬅️", "arrow left flecha izquierda"], ["⬆️", "arrow up arriba"], ["⬇️", "arrow down abajo"], ["🔁", "repeat repetir"], ["🔔", "bell campana"],
    ["🟢", "green verde"], ["🟡", "yellow amarillo"], ["🔴", "red rojo"], ["🆗", "ok"], ["🆕", "new nuevo"], ["🔜", "soon pronto"], ["1️⃣", "one uno"], ["2️⃣", "two dos"], ["3️⃣", "three tres"], ["💬", "speech message mensaje"],
  ],
};
