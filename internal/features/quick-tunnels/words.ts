// The words of quick-tunnel names: lower-case letters only, friendly, and no word in two lists, so that a name read over
// the telephone comes back in the right order.

/** How the tunnel feels. */
export const adjectives: readonly string[] = words(`
  able agile airy alert amber ample apt aqua arctic ashen autumn awake azure balmy basic beige blithe bold brave
  breezy brief bright brisk bronze calm candid careful caring casual cheery chief chilly civil classic clean clear
  clever cloudy coastal cobalt comfy cool copper coral cosmic cozy cream crisp curious cyan dainty daring dawn
  deep deft dewy direct distant dreamy dusky eager early earnest easy elated elder emerald epic equal even exact
  fabled fair famous fancy fast fern festive fine firm first fleet floral fluent flying fond free fresh frosty
  full gentle genuine gifted glad gleaming global glossy golden good graceful grand grassy great green groovy
  happy hardy hazel hearty helpful high honest humble ideal indigo inland ivory jade jolly jovial joyful keen kind
  large lasting late lavish leafy level light lilac lively local lofty loyal lucid lucky lunar magic major mellow
  merry mighty mild minty misty modern modest mossy neat nimble noble north novel oaken ocean olive open orange
  orderly pastel patient peachy pearly peppy perky placid plain plucky plum polar polished polite primal prime
  proud pure quaint quick quiet radiant rapid rare ready regal rested rich roomy rosy round royal ruby rustic sage
  sandy sane scenic serene shady sharp shiny silent silver simple sincere sleek smart smiling smooth snowy snug
  social soft solar solid sonic south spare spicy spry square stable starry steady stellar still stout strong
  sturdy subtle summer sunny super sure sweet swift tall tame tawny teal tender thankful tidal tidy timely tiny
  topaz tranquil trim tropic true trusty unique upbeat urban valiant vast velvet verdant vernal vivid warm wavy
  western whole wide wild willing windy winter wise witty wooden young zesty
`);

/** Who lives at its end. */
export const animals: readonly string[] = words(`
  alpaca anchovy angelfish ant anteater antelope armadillo auklet avocet axolotl badger bandicoot barbet bat bear
  beaver bee beetle beluga bison bittern blackbird bluebird bobcat bobolink bonobo buffalo bulbul bullfinch
  bunting butterfly buzzard camel canary capybara caracal caribou carp cassowary cat catfish chaffinch chameleon
  cheetah chickadee chinchilla chipmunk cicada civet clam coati condor coot corgi cormorant cougar cowbird coyote
  crab crane cricket crow cuckoo curlew deer dingo dipper dolphin donkey dormouse dotterel dove dragonfly duck
  dugong dunlin eagle echidna egret eider eland elephant elk emu ermine falcon fennec ferret finch firefly
  flamingo flounder flycatcher fox frog gannet gazelle gecko gerbil gibbon giraffe gnu goldfinch goose gopher
  goshawk grebe grouse guanaco gull guppy hamster hare harrier hawk hedgehog heron herring hippo hoopoe hornbill
  horse hyrax ibex ibis iguana impala jacana jackdaw jaguar jay jerboa kangaroo katydid kestrel kingfisher kinglet
  kite kiwi koala koi kudu ladybug lapwing lark lemming lemur leopard limpet linnet lion lizard llama lobster loon
  lynx macaw magpie mallard manatee manta mantis margay marlin marmot marten martin meerkat merlin mink minnow
  mongoose moose moth mouse mule murrelet muskox narwhal newt nightjar numbat nuthatch ocelot octopus okapi
  opossum orca oriole oryx osprey ostrich otter owl ox oyster panda pangolin panther parakeet parrot partridge
  peacock pelican penguin perch petrel pheasant pigeon pika pike pipit plover pony porcupine porpoise possum
  puffin puma quail quetzal quokka rabbit raccoon raven ray redstart reindeer rhino robin rook salmon sandpiper
  seahorse seal serval shark sheep shrew shrike skink skylark sloth snail snipe sparrow spoonbill squid squirrel
  starfish starling stoat stork sturgeon swallow swan tanager tapir tarpon tarsier tern terrapin thrush tiger
  tortoise toucan trout tuna turaco turtle vicuna vole wagtail wallaby walrus warbler waxwing weasel whale wigeon
  wolf wolverine wombat woodcock woodpecker wren yak zebra
`);

/** What it holds. */
export const things: readonly string[] = words(`
  acorn almanac anchor anvil apple apron arch arrow atlas badge ball bamboo banjo banner barn barrel basin basket
  beacon bead bell bench berry bike birch blanket boat book boot bottle bow bowl box bracket branch bread brick
  bridge brook broom brush bucket button cabin cable cactus camera candle canoe canvas cape card carpet cart
  castle cedar cello chair chalk cherry chess chest chime cider cinder circle citrus clay cliff clock cloud clover
  coat cobble coin comb comet compass cookie cork corner cotton cove cradle crayon creek crown cup curtain cushion
  dahlia daisy desk dial dome door dough drum dune easel echo elm ember engine fabric feather fence ferry fiddle
  field fig fjord flag flint flute forest fork fountain frame garden garland garnet gate gear ginger glacier glass
  globe glove grain granite grape grove guitar hammer hammock harbor harp hat haven hearth hedge helmet hill hinge
  honey hook horizon horn inkwell iris island ivy jacket jar jigsaw jug kayak kettle key kiln knot ladder lagoon
  lake lamp lantern lattice laurel leaf lemon lens lever library lighthouse lily lime linen locket loom lotus lute
  magnet map maple marble market mast meadow medal melon mill mint mirror mitten moon mosaic moss mountain muffin
  mug needle nest notebook nutmeg oak oar oasis oat onion orbit orchard orchid organ paddle paint palette pancake
  paper parcel path pear pearl pebble pen pencil pepper piano picnic pier pillow pine pixel planet plaza pocket
  pond poplar poppy porch prairie prism pumpkin puzzle quarry quartz quill quilt raft rain rainbow reef ribbon
  ridge ring river road rocket roof rope rose ruler saddle saffron sail sand satchel scarf scroll shed shell ship
  shore shovel signal silo sketch sky sled slipper spindle spoon spring spruce stairs stamp star stone stool storm
  stove stream street sugar summit sundial sunrise table tea teapot tent thimble thread thyme tile timber toast
  torch tower trail train tram treasure tree trellis tulip tunnel umbrella valley vase vault vine violet violin
  wagon walnut water wave well wharf wheel whistle willow window wool yarn yew zephyr
`);

function words(text: string): readonly string[] {
  return text.trim().split(/\s+/);
}
