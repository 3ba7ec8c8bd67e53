"""The text that tiny-embed learns from, all of it written for this file.

A *meaning* is something that can be said in several ways; its wordings stand on
one line, with " / " between them. In a wording, `[a|b]` is either a or b, and
`{slot}` is filled from the tables. Two wordings of a meaning are a pair that
should lie close together; the wordings of other meanings should lie apart, those
of the same domain a little less so.
"""

import random
import re

# Each domain: "# name: words of the domain", then one meaning a line.
DOMAINS = """
# small talk: hello hi goodbye welcome friend chat thanks pleased meet smile
Hello / Hi there / Hey / Good day to you / Greetings, friend / Howdy
Good morning / Have a nice morning / I wish you a good morning / Rise and shine
Good night / Sleep well / Sweet dreams / Have a restful night
Goodbye / Bye / See you later / Farewell / Until next time / I have to go now
Thank you / Thanks a lot / Many thanks / I am grateful for your help / I appreciate it
You are welcome / No problem / Do not mention it / My pleasure
How are you? / How are you doing? / How is it going? / Are you well? / How do you feel today?
I am fine / I am doing well / All is good with me / Everything is great here
I am sorry / I apologise / Please forgive me / That was my mistake / Pardon me
Nice to meet you / Pleased to meet you / I am glad to get to know you / It is good to meet you
What is your name? / Who are you? / How should I call you? / Tell me your name / Introduce yourself
What can you do? / How can you help me? / What are you able to do? / Tell me about your abilities / Which things do you know?
Tell me a joke / Make me laugh / Do you know something funny? / I want to hear a joke
How old are you? / What is your age? / When were you born? / In which year were you made?
Are you a human? / Are you a real person? / Am I talking to a robot? / Is this a machine or a person?
Yes / Yes, of course / Sure / Certainly / I agree / That is right
No / No, thank you / I do not want that / Not at all / I disagree
I do not know / I have no idea / I am not sure / It is unknown to me
Congratulations / Well done / Great job / I am proud of you
Happy birthday / Many happy returns / Best wishes for your birthday / Enjoy your birthday party
Can you help me? / I need help / Please give me a hand / Could you assist me? / I need some support
Please repeat that / Say that again / I did not hear you / Could you say it once more?

# accounts: password login account user email profile username sign register settings
I forgot my password / How do I reset my password? / I cannot remember my password / Help me recover my password / Where can I change a lost password?
How do I change my password? / I want a new password / Set another password for my account / Where is the page to update my password?
I cannot log in / Signing in does not work / The login fails / My account does not let me in / The site says my login is wrong
How do I create an account? / I want to sign up / Where can I register? / Open a new account for me
Delete my account / I want to close my account / How do I remove my profile? / Please erase my account and all of my data
Change my email address / I have a new email / How do I update the email of my account? / Use another email address for me
I did not get the confirmation email / The verification message never arrived / Send me the activation mail again / No email came to confirm my account
How do I change my user name? / I want another username / Rename my account / Edit the name in my profile
Turn on two factor authentication / How do I protect my account with a second step? / I want a code on my phone at every login / Enable two step verification
My account was hacked / Somebody else uses my account / A stranger got into my profile / I think my password was stolen
How do I sign out? / Log me out / End my session / Where is the logout button?
Turn off notifications / Stop sending me messages / I do not want to be notified / Disable alerts

# shopping: shop order delivery package store product return refund customer cart price
Where is my order? / Track my package / When will my parcel arrive? / My delivery has not come yet / What is the status of my shipment?
I want my money back / How do I get a refund? / Please refund my purchase / Give me back what I paid
I want to return this product / How do I send an item back? / Can I bring back what I bought? / What is your return policy?
Cancel my order / I no longer want what I ordered / Please stop my purchase / How do I cancel a purchase?
The item arrived broken / My package is damaged / I received a defective product / What I bought does not work
I received the wrong item / You sent me something else / This is not what I ordered / The box has another product in it
How much does shipping cost? / What is the delivery fee? / Is delivery free? / Tell me the price of shipping
What are your opening hours? / When does the store open? / At what time do you close? / Is the shop open on Sunday?
Do you have a discount? / Is there a coupon? / Can I get it cheaper? / Are there any special offers? / I have a promotion code
Is this product in stock? / Do you still have this item? / When will it be available again? / Is it sold out?
Where is the nearest store? / Is there a shop close to me? / Where can I find one of your shops? / Give me the address of your store
How long does delivery take? / How many days until it arrives? / When can I expect my goods? / What is the delivery time?
Change my delivery address / Send the parcel to another address / I moved to a new house, please ship it there / The shipping address is wrong
Does it come with a warranty? / How long is the guarantee? / Is there a guarantee on this product? / For how many years is it covered?

# payment and banks: bank money card credit cash loan interest payment invoice tax salary debt
Which payment methods do you accept? / Can I pay by card? / How can I pay? / Do you take cash?
My payment failed / The card was declined / I cannot pay / The payment did not go through
I was charged twice / You took the money two times / There is a double charge on my card / I paid the same bill twice
Where is my invoice? / I need a receipt / Send me the bill / Please give me proof of payment
How do I open a bank account? / I want to become a customer of the bank / Start a new account at a bank / What do I need for a bank account?
I lost my credit card / My card was stolen / Please block my card / Somebody took my bank card
How much money do I have? / What is my balance? / Show me the balance of my account / How much is left on my account?
Transfer money to my friend / Send money to another account / How do I make a bank transfer? / Pay somebody from my account
I need a loan / Can I borrow money from the bank? / How do I get credit? / Lend me money to buy a house
What is the interest rate? / How much interest does the bank pay? / Tell me the rate for savings / What does borrowing cost in a year?
How can I save money? / Tips for spending less / I want to put some money aside / Ways to keep a budget
When do I have to pay taxes? / What is the tax deadline? / Until when must I file my tax return? / The date for paying tax
Exchange dollars for euros / I need foreign money / What is the exchange rate? / Convert my currency

# markets and business: stock market company price profit investor economy trade share growth sales
Stock prices fell sharply today / The market went down / Shares lost value / Investors saw big losses on the exchange
Stock prices rose / The market went up / Shares gained value / Investors celebrated higher prices
The company made a record profit / Earnings were higher than ever / The firm earned more money than before / Business was very good this year
The company lost money / The firm reported a loss / Sales were too weak to make a profit / It was a bad year for the business
How do I start a business? / I want to found a company / Steps to open my own firm / What do I need to become an entrepreneur?
Prices are rising / Inflation is high / Everything gets more expensive / Life costs more than last year
The two firms merged / One company bought the other / The businesses joined / They announced a takeover
How do I invest money? / Where should I put my savings? / Is it wise to buy shares? / Advice for new investors
The factory closed / The plant was shut down / Production in the factory stopped / The workers lost their factory
We need more customers / How can we increase sales? / Find new buyers for our product / Ideas for better marketing
The economy is growing / Economic growth is strong / The country produces more than last year / Business is expanding everywhere

# travel: flight train hotel ticket airport passport luggage holiday trip journey tourist map
I want to book a flight / Reserve a plane ticket / Find me a seat on a plane / Buy an air ticket
My flight is late / The plane is delayed / Our departure was postponed / The airplane takes off hours later
My flight was cancelled / The plane will not fly / The airline dropped my flight / There is no departure today
My luggage is lost / The suitcase did not arrive / I cannot find my bags at the airport / The airline lost my baggage
When does the train leave? / At what time is the departure of the train? / Tell me the train times / The timetable of the railway
I missed my train / I came too late to the station / The train left without me / I was not on time for my train
I need a hotel room / Book a room for two nights / Find a place to sleep / Reserve a hotel
Is breakfast included? / Does the room come with breakfast? / Do I have to pay for breakfast at the hotel? / Is there a morning meal in the price?
Do I need a visa? / Which papers do I need to enter the country? / Can I travel without a visa? / What are the entry rules at the border?
I lost my passport / My passport was stolen / I cannot find my travel document / What do I do without a passport?
What should I pack? / Help me with a packing list / What do I take on my trip? / Things to put in a suitcase
Where should I go on holiday? / Recommend a place for my vacation / Ideas for a trip / Which country is nice to visit?
How do I get to the airport? / The way to the airport / Which bus goes to the airport? / Take me to the terminal
Where can I rent a car? / I need a rental car / Hire a car for the weekend / How much is a car for a week?
What are the sights of the city? / What can a tourist see here? / Show me famous places in town / Which museums and monuments should I visit?

# food and restaurants: restaurant menu waiter table dinner lunch breakfast meal hungry dish taste
I am hungry / I need something to eat / My stomach is empty / I could eat a horse
I am thirsty / I need something to drink / Give me a glass of water / My throat is dry
I want to reserve a table / Book a table for two / Do you have a free table tonight? / A table at the restaurant, please
May I see the menu? / What do you serve? / What dishes do you have? / Show me the list of meals
The bill, please / I would like to pay for dinner / Bring me the check / How much is our meal?
The food was delicious / That tasted wonderful / It was a very good meal / I loved the dinner
The food was terrible / The meal tasted bad / I did not like the dish / Dinner was cold and awful
I do not eat meat / I am a vegetarian / Do you have food without meat? / A dish with vegetables only
I am allergic to nuts / I cannot eat peanuts / Are there nuts in this dish? / Nuts make me ill
Recommend a good restaurant / Where can I eat well? / Which place has the best food? / A nice spot for dinner
What is for dinner? / What do we eat tonight? / What will be on the table this evening? / The plan for supper
I drink coffee every morning / A cup of coffee starts my day / My day begins with coffee / I need an espresso when I wake up
Tea is better than coffee / I prefer a cup of tea / I would rather drink tea / Give me green tea instead of coffee

# cooking: oven pan flour butter sugar recipe bake boil knife kitchen soup bread cook egg salt
How do I bake bread? / A recipe for a loaf of bread / Knead the dough, let it rise and bake it / Mix flour, water, salt and yeast / Steps to make my own bread
How do I bake a cake? / A recipe for a cake / Stir butter, sugar, eggs and flour and put it in the oven / I want to make a chocolate cake
How do I cook rice? / The best way to boil rice / How much water do I need for rice? / Let the rice simmer until the water is gone
How do I boil an egg? / How long does an egg cook? / Put the egg in boiling water for six minutes / Make a soft egg for breakfast
How do I make pancakes? / A recipe for pancakes / Fry thin batter in a pan with butter / I would like to cook crepes
How do I make soup? / Cook vegetables in broth / A recipe for a warm soup / Simmer carrots and onions in a pot
How do I cook pasta? / Boil noodles in salted water / How long does spaghetti take? / Make pasta with tomato sauce
The soup is too salty / I put too much salt in it / How do I save a dish with too much salt? / There is a lot of salt in my soup
How do I cut an onion? / Chop onions without crying / Slice the onion with a sharp knife / My eyes burn when I cut onions
The cake burned / I left it in the oven too long / The cookies are black / My baking is burnt
How hot should the oven be? / Which temperature do I bake at? / Set the oven to two hundred degrees / How do I heat the oven?
What can I use instead of eggs? / A replacement for eggs / Baking without eggs / I have no eggs for the dough
How do I make pizza? / A recipe for pizza with cheese / Put tomatoes and cheese on flat dough / Homemade pizza
How do I make a salad? / Mix lettuce with oil and vinegar / A fresh green salad / Wash the leaves and add a dressing
How do I make coffee? / Brew a pot of coffee / Pour hot water over ground beans / Which coffee machine is good?
How long does meat keep in the fridge? / Store meat in the refrigerator / When does meat go bad? / Can I freeze chicken?

# weather: rain sun snow wind cloud storm temperature forecast cold warm umbrella
What is the weather like? / How is the weather today? / Tell me the weather / Give me the weather report
Will it rain tomorrow? / Is rain expected? / Do I need an umbrella? / Is it going to be wet outside?
It is raining / Rain is falling / Water comes down from the clouds / It is a wet day / The streets are wet from the showers
The sun is shining / It is a sunny day / The sky is clear and bright / What a lovely sunny morning
It is snowing / Snow is falling / Everything is white with snow / White flakes cover the ground
It is very cold / It is freezing outside / The temperature is below zero / Put on a coat, it is icy
It is very hot / What a heat / The temperature is above thirty degrees / The air is burning today
It is windy / A strong wind is blowing / The wind shakes the trees / There is a stiff breeze
A storm is coming / There will be thunder and lightning / Bad weather is on its way / Dark clouds bring a thunderstorm
How warm is it? / What is the temperature? / How many degrees is it? / What does the thermometer say?
It is foggy / Thick fog hides the road / I can see nothing in the mist / The mist is heavy this morning
What is the forecast for the weekend? / How will the weather be on Saturday and Sunday? / Will it be nice at the end of the week? / Weekend weather

# animals: dog cat bird horse cow fish pet puppy kitten wild zoo tail fur paw
The dog is barking / I hear a dog / A hound makes noise / The puppy barks loudly
The cat is sleeping / A kitten naps / The cat lies curled up and dreams / My cat is taking a nap
A cat chases a mouse / The kitten runs after a mouse / The mouse flees from the cat / A rodent is hunted by a cat
My dog does not eat / The puppy refuses its food / Why does my dog leave the bowl full? / The dog has lost its appetite
I want a pet / Which animal should I get? / I would like to have an animal at home / What pet is good for children?
How do I train a puppy? / Teach my dog to sit / My young dog must learn to obey / Tips for raising a dog
Birds are singing / The birds chirp in the trees / I can hear a robin sing / Bird song fills the air
A horse runs across the field / The pony gallops in the meadow / Horses race over the grass / The mare trots through a pasture
What do cows eat? / Cows feed on grass / Food for cattle / The cow chews hay
Fish live in water / Fish swim in the sea and in rivers / A fish breathes through gills under water / Where do fish live?
The lion is the king of the animals / Lions hunt in the savanna / A lion roars / The big cat with a mane
Elephants are the largest animals on land / An elephant has a long trunk / The heavy grey animal with big ears / How big is an elephant?
Why do cats purr? / The reason that cats make that humming sound / What does it mean when a kitten purrs? / Cats hum when they are content
Bees make honey / Honey comes from bees / Bees collect nectar from flowers / An insect that fills a hive with honey
My cat is sick / The kitten must see the vet / I need an animal doctor for my cat / Our cat is ill

# garden and plants: plant flower tree seed soil water leaf grass rose grow garden
How often should I water my plants? / When do plants need water? / How much water does a flower need? / Watering the garden
My plant is dying / The leaves turn yellow / My flower looks dry and weak / How can I save my plant?
When do I plant tomatoes? / Growing tomatoes / The season to sow tomatoes / How do I grow tomatoes in a pot?
The roses are blooming / The flowers open / Blossoms everywhere / The garden is full of flowers
I mow the lawn / The grass must be cut / Cut the grass with a machine / My lawn is too high
The tree lost its leaves / Leaves fall in autumn / The branches are bare / The wood turns red and gold in fall
How do I get rid of weeds? / Weeds grow between my vegetables / Pull unwanted plants out of the bed / Remove weeds from the garden
There are bugs on my plants / Insects eat the leaves / How do I fight lice on roses? / Pests in the garden
Plants make food from sunlight / How does photosynthesis work? / Leaves turn light, water and air into sugar / Why are leaves green?
When do I cut the apple tree? / Pruning fruit trees / The best month to trim branches / How do I trim a tree?

# health: doctor pain headache fever medicine hospital sick ill cough blood heart pill
I have a headache / My head hurts / There is pain in my head / What helps against a sore head?
I have a cold / My nose is running / I cough and sneeze / I caught the flu
I have a fever / My temperature is high / My body is too hot / I am shaking with fever
My back hurts / I have back pain / There is an ache in my spine / What can I do for a sore back?
I have a toothache / My tooth hurts / I need a dentist / There is a hole in my tooth
I feel sick / I am ill / I am not well / My stomach turns
Call an ambulance / This is an emergency / Somebody is hurt, send help / We need a doctor right now
I need to see a doctor / Make an appointment with a physician / When can the doctor see me? / I want a medical examination
I broke my leg / My leg is fractured / The bone in my leg is cracked / I have a cast on my leg
I cut my finger / My finger is bleeding / There is blood on my hand / I need a bandage
How do vaccines work? / What does a vaccination do? / A shot teaches the body to fight a virus / Why should I get vaccinated?
When should I take this medicine? / How many pills a day? / The dose of the drug / Do I take the tablets with food?
My heart beats too fast / I have a high pulse / My chest feels tight / My heart is racing
I am pregnant / We are expecting a baby / A child is on the way / She will be a mother soon
How can I stop smoking? / I want to quit cigarettes / Help me give up tobacco / Live without smoking
Wash your hands / Keep your hands clean with soap / Soap and water stop germs / Clean fingers before dinner

# sleep and feelings: happy sad tired angry afraid love lonely worried sleep dream mood
I am tired / I need some sleep / I can hardly keep my eyes open / I am exhausted
I cannot sleep / I lie awake at night / How can I fall asleep? / Insomnia keeps me up
I am happy / I feel great / I am full of joy / Life is beautiful
I am sad / I feel down / I am unhappy / I could cry / My heart is heavy
I am angry / I am mad at him / That makes me furious / I am so annoyed
I am afraid / I am scared / That frightens me / Fear takes hold of me
I am bored / I have nothing to do / Time does not pass / Everything is dull today
I am lonely / I feel alone / Nobody is with me / I have no friends
I love you / You mean everything to me / My heart belongs to you / I am in love with you
I am stressed / Everything is too much for me / How can I relax? / I need to calm down
I am nervous about the exam / I worry about tomorrow's test / The examination makes me anxious / What if I fail?
I had a bad dream / A nightmare woke me / I dreamed of something terrible / Monsters came in my sleep
I miss you / I think of you all the time / I wish you were here / Come back to me
My grandmother died / We lost our grandma / I am in mourning / The funeral is tomorrow

# fitness and sport: run ball team game match player win goal swim bicycle training race
How can I lose weight? / I want to be slimmer / A diet against fat / I weigh too much
How do I build muscle? / Exercises for strong arms / I want to get stronger / Training with weights
I go running every day / I jog each morning / A daily run keeps me fit / Jogging is my habit
The team won the match / Our side beat them / Victory for our players / They scored more goals than the others
The team lost the match / We were beaten / Our players suffered a defeat / The other side was better
He scored a goal / The ball is in the net / A striker shot into the goal / The player hit the target
Who won the game? / What was the score? / The result of the match / How did the game end?
I want to learn to swim / Swimming lessons for beginners / How do I swim? / Teach me to move in water
I ride my bicycle to work / I cycle to the office / By bike to my job / I get to work on two wheels
The rules of football / How is soccer played? / Eleven players kick a ball / What is offside?
She runs faster than everybody / She won the race / The fastest runner took the gold medal / She was the first at the finish
How do I start with yoga? / Yoga for beginners / Stretch and breathe on a mat / I would like to try yoga
The player was injured / He hurt his knee in the game / An injury ended her season / The athlete left the field in pain
He plays tennis / Hit the ball over the net with a racket / A game of tennis / She has a tennis match

# music: song guitar piano band concert sing melody drum violin listen album
Play some music / Put on a song / I want to hear a tune / Start the playlist
Turn up the volume / Make it louder / I can hardly hear the music / Increase the sound
Turn down the volume / Make it quieter / The music is too loud / Lower the sound
A man is playing a guitar / Someone plays the guitar / A musician strums his guitar / A guitarist makes music
She plays the piano / The pianist sits at the keys / A woman performs on the piano / She practises the piano
Who sings this song? / What is the name of the singer? / Which band made this track? / Find the artist of this song
Skip this song / Next track / I do not like this tune / Play something else
Stop the music / Pause the song / Silence, please / Switch off the player
How do I learn to play an instrument? / Lessons in music / I want to study the violin / Which instrument is easy?
The concert was great / The band gave a wonderful show / We enjoyed the live music / The crowd loved the performance
The choir is singing / People sing together / Many voices in a church / A group of singers performs
Write a song / Compose a melody / I need words for a tune / Make up a song for me

# films and books: movie book story author actor film novel read watch cinema poem page
Recommend a good film / Which movie should I watch? / What is worth seeing at the cinema? / I want to watch a movie tonight
Recommend a good book / What should I read? / A novel for the holidays / I am looking for something to read
Who wrote this book? / Who is the author? / The name of the writer / By whom is this novel?
Who plays in this film? / Which actors are in the movie? / The cast of the film / Who is the star of this movie?
The film was boring / I did not like the movie / I fell asleep at the cinema / What a dull picture
The film was exciting / I loved the movie / A thrilling picture / I could not stop watching
Tell me a story / Read me a tale / I want to hear a fairy tale / Once upon a time
Write a poem / Make some verses / I would like a rhyme / Compose a short poem
What is the book about? / Summarise the novel / The plot of the story / What happens in the book?
Where is the library? / I want to borrow a book / The place where books are lent / Is there a public library?
The hero saves the princess / A knight frees the king's daughter / The dragon is slain and the princess is safe / The brave man rescues her
How do I write a novel? / I want to become an author / Tips for writing fiction / My first book
When does the film start? / The time of the show / At what hour is the movie? / Showtimes at the cinema

# school: teacher student exam lesson learn study class homework university grade pupil
How do I study for an exam? / Prepare for a test / Tips for learning / I have an examination next week
I passed the exam / I got a good grade / The test went well / My marks are excellent
I failed the exam / I got a bad grade / The test went wrong / I did not pass
Help me with my homework / I do not understand the exercise / Solve this task for school / I am stuck on my assignment
The teacher explains the lesson / A lecturer teaches the class / The professor talks to the students / Pupils listen to their teacher
Children go to school / Pupils walk to class / Kids on their way to school / The school day begins
Which university is good? / Where should I study? / Choose a college / How do I apply for a degree?
How do I learn a language? / I want to speak another language / Tips for learning words / Get better at speaking French
How do I write an essay? / Structure of an essay / I have to hand in a paper / Write a text for class
The holidays begin / School is out / No lessons for six weeks / Summer vacation for pupils
What does this word mean? / Give me the definition of the word / Explain the meaning of a word / Look it up in the dictionary
How do I spell this? / The spelling of the word / Which letters are in this word? / Is it written like that?

# mathematics: number sum equation triangle circle add multiply divide fraction geometry proof
What is the area of a circle? / How do I compute the surface of a circle? / Pi times the square of the radius / Formula for a circle
What is a prime number? / A number divisible only by one and itself / Explain prime numbers / Is seven a prime?
How do I solve an equation? / Find x / The solution of a linear equation / Bring the unknown to one side
What is the square root? / Which number times itself gives nine? / Compute a root / The root of sixteen
What is a triangle? / A shape with three sides / A figure with three corners / Three angles make this shape
How do fractions work? / Add one half and one third / What is a numerator? / Parts of a whole number
How do I compute a percentage? / What is twenty percent of fifty? / Calculate percent / One part in a hundred
What is the average? / Compute the mean of numbers / Add them up and divide by how many there are / The mean value
What is probability? / How likely is it? / The chance of an event / The odds of throwing a six
What is a proof? / Show that a theorem is true / A chain of logical steps / Mathematicians prove statements
What is calculus? / Derivatives and integrals / The slope of a curve / The mathematics of change
What is geometry? / The study of shapes / Lines, angles and planes / Measuring figures

# science: atom energy physics chemistry experiment light gravity molecule electron scientist
Why is the sky blue? / The reason for the blue color of the sky / Air scatters blue light / What makes the heavens blue?
What is gravity? / Why do things fall down? / The force that pulls us to the earth / Masses attract each other
What is an atom? / The smallest piece of an element / Electrons around a nucleus / What is matter made of?
How fast is light? / The speed of light / How quickly does light travel? / Three hundred thousand kilometres in a second
What is water made of? / Hydrogen and oxygen / The chemical formula of water / H2O
At what temperature does water boil? / Water boils at one hundred degrees / The boiling point of water / When does water turn into steam?
At what temperature does water freeze? / Water turns to ice at zero degrees / The freezing point of water / When does water become ice?
What is electricity? / A flow of electrons / Current in a wire / How does electric current work?
What is DNA? / The molecule that carries our genes / How is heredity stored? / Genes are written in a double helix
What is evolution? / How did species develop? / Living things change over generations / Darwin and natural selection
What is energy? / The ability to do work / Energy cannot be created or destroyed / Forms of energy
How does a magnet work? / Why does iron stick to a magnet? / North and south poles attract / Magnetic force
Why do we have seasons? / What causes summer and winter? / The axis of the earth is tilted / The change from spring to autumn
How does a rainbow form? / Where do the colors in a rainbow come from? / Drops of water split sunlight / An arch of colors after rain
A scientist does an experiment / Research in a laboratory / The researchers tested their theory / A trial in the lab

# space: moon star planet sun rocket astronaut orbit galaxy mars telescope universe earth
How far away is the moon? / The distance to the moon / How many kilometres to the moon? / How long is the way to the moon?
How many planets are there? / Eight planets go around the sun / The planets of the solar system / Name the planets
Who was the first person on the moon? / The first moon landing / An astronaut stepped on the lunar surface / A man walked on the moon
The sun is a star / Our nearest star / What is the sun? / A burning ball of gas gives us light
Is there life on Mars? / Does anything live on the red planet? / Looking for living things on Mars / Martians
A rocket flies to space / The spacecraft took off / They launched a ship into orbit / Lift off
What is a black hole? / Nothing can escape from it, not even light / A place with extreme gravity / A collapsed star
The stars shine at night / The night sky is full of stars / Look at the stars with a telescope / Lights in the dark sky
How old is the universe? / When did everything begin? / The big bang / The birth of space and time
What is a galaxy? / A huge group of stars / The Milky Way / Billions of suns together
The earth goes around the sun / One orbit takes a year / Our planet circles a star / How long does the earth need around the sun?
What is an eclipse? / The moon covers the sun / The sun goes dark in the day / A shadow falls on the moon

# history: king war century empire ancient castle queen revolution army president peace
When did the war end? / The last day of the war / Peace came at last / In which year was there peace?
Who built the pyramids? / The tombs of the pharaohs / Ancient Egyptians piled up stones / How were the pyramids made?
Who was the first president? / The man who led the country first / The first leader of the nation / The earliest head of state
The king ruled for many years / The long reign of a monarch / He sat on the throne for decades / An old king
The wall fell / The city was united again / People climbed over the border / The end of a divided town
What was the Roman empire? / The rule of ancient Rome / Caesar and the legions / Romans governed many lands
Who discovered America? / Columbus sailed west / The first Europeans in the new world / A sailor found a continent
The revolution began / The people rose against the king / Citizens overthrew the government / A rebellion in the streets
Knights lived in castles / Life in the middle ages / A fortress with towers and a moat / Medieval times
Who invented the telephone? / The inventor of the phone / The first call over a wire / Where does the telephone come from?
Who invented printing? / The first printed books / Letters of lead and a press / How did books become cheap?
Dig up old pots / Archaeologists found a grave / Traces of an ancient people / Ruins under the sand

# geography: country river mountain ocean city continent island desert border capital lake
What is the highest mountain? / The tallest peak on earth / Which mountain is the highest? / Climbing Everest
What is the longest river? / Which river is the longest? / The river with the greatest length / The Nile and the Amazon
What is the largest ocean? / The biggest sea in the world / The Pacific / Which ocean covers most of the earth?
What is the largest country? / Which state has the most land? / The country with the greatest area / How big is Russia?
How many continents are there? / The seven continents / Name the continents / Large masses of land
Where is the desert? / A land of sand without rain / The Sahara / Dunes and hot dry air
How many people live on earth? / The population of the world / Billions of humans / The number of people alive
Volcanoes spit fire / Lava flows from the mountain / An eruption of hot rock / The volcano woke up
The earth is shaking / There was an earthquake / The ground moves and houses fall / A quake hit the city
An island lies in the sea / Land with water all around / A piece of land in the ocean / We sailed to the island
In which direction is north? / Use a compass / Where do I find north? / The needle points north

# programming: code function variable program bug compiler loop developer software rust python class
My program crashes / The application stops with an error / The software does not run / It ends with an exception
How do I fix this bug? / There is a mistake in my code / Help me debug / My function gives a wrong result
What is a variable? / A name for a value / Store a number under a name / Declare and assign
What is a function? / A piece of code that can be called / Define a procedure with arguments / Reuse code by calling it
What is recursion? / A function that calls itself / Explain recursive calls / Solve a problem by a smaller one of the same kind
How do I write unit tests? / Test my code automatically / Check that a function does what it should / Add tests to my project
How do I learn to program? / Programming for beginners / I want to become a developer / Which language should I code in first?
What is an algorithm? / A recipe of steps for a computer / A procedure to solve a problem / Instructions in a fixed order
What is a compiler? / It turns source code into machine code / A program that translates programs / Build an executable from sources
My code is too slow / How can I make my program faster? / Optimise the performance / Speed up this loop
How do I undo a commit? / Revert my last change in git / Go back to an older version of the code / Throw away the latest commit
How do I merge branches? / Combine two git branches / Resolve a merge conflict / Bring a feature branch into main
What is an API? / How programs talk to each other / An interface that other software calls / Endpoints for developers
What is open source? / Software whose code is public / Everyone may read and change the program / Free software licenses
What is a memory leak? / My program uses more and more memory / Memory that is never freed / The process grows until it is killed
What is a thread? / Run several tasks in one process / Parallel execution / Code that runs at the same time
What is a deadlock? / Two threads wait for each other for ever / The locks block one another / My program hangs on a mutex
What does borrow checking mean? / Rust does not let me use a moved value / Ownership and references in Rust / The borrow checker complains
Please review my code / Look at my pull request / Give me feedback on my patch / Is this change good?
How do I read the documentation? / Where are the docs? / The manual of the library / A guide for the software

# databases: table query row column index sql database backup record transaction join
How do I join two tables? / Combine rows of two tables in SQL / A query with a join / Match records by a key
My query is slow / The database takes too long / How do I speed up SQL? / Add an index to the table
How do I make a backup? / Save a copy of the database / Protect data against loss / Dump all tables to a file
What is a primary key? / The column that identifies a row / A unique id for each record / Every row has its own key
What is a transaction? / Several changes that happen together or not at all / Commit or roll back / Atomic updates
Delete all rows / Empty the table / Remove every record / Clear the data
How do I create a table? / Define columns and types / A new table in SQL / Make a place to store records
How do I restore a backup? / Bring back lost data / Load the dump into the database / Recover deleted records
Sort the results / Order the rows by date / Put the records in order / The newest first
Count the rows / How many records are there? / The number of entries in a table / Size of a table

# networks and servers: server internet http port router wifi connection request cloud deploy address
The server is down / The website is not reachable / The service does not answer / Our site is offline
The internet is slow / My connection has little bandwidth / Pages load for ages / Downloads take too long
I have no internet / The wifi does not work / My network is gone / I cannot get online
How do I restart the server? / Reboot the machine / Start the service again / Bring the system up again
The request timed out / No answer came in time / The server took too long to reply / Timeout error
What is an IP address? / The number of a computer in a network / How do computers find each other? / An address on the internet
How do I connect to wifi? / Join a wireless network / What is the wifi password? / Get my laptop on the network
How do I deploy my app? / Put my software on a server / Release to production / Roll out a new version
What is the cloud? / Renting computers of somebody else / Servers in a data center / Computing over the internet
Too many requests / I hit the rate limit / The server says to slow down / Wait before you call again
Page not found / Error 404 / The link is dead / This address does not exist
What is a firewall? / It blocks unwanted connections / Protect a network from outside / Close all ports but one
The disk is full / There is no space left / Free some storage / The hard drive has no room
Read the log files / Where are the logs? / Look for errors in the log / See what the server wrote

# artificial intelligence: model neural network training data learning token embedding prompt gpu chatbot
What is machine learning? / Computers learn from data / Programs that get better with examples / Training a model on samples
What is a neural network? / Layers of artificial neurons / A model inspired by the brain / Weights and activations
What is a language model? / A program that predicts the next word / How does a chatbot write text? / It continues a sentence
What is an embedding? / A vector that stands for a text / Numbers that capture meaning / Turn a sentence into a list of numbers
What is a GPU good for? / A graphics card computes in parallel / Train models on graphics hardware / Faster than a processor for matrices
How much memory does the model need? / Does it fit on my graphics card? / The size of the weights in memory / Not enough video memory
The model makes things up / It hallucinates / The answers are wrong but sound sure / The chatbot invents facts
How do I write a good prompt? / Tell the assistant what I want / Instructions for a chatbot / Better questions give better answers
What is a token? / Pieces of words that a model reads / How is text split for a model? / Count the tokens of a text
Run a model on my own computer / Local inference without the cloud / Use artificial intelligence offline / Host a model at home
Can machines think? / Is artificial intelligence conscious? / Do computers have a mind? / Will robots have feelings?
Search by meaning / Find similar texts with vectors / Semantic search / Retrieve the documents that are closest

# computers and phones: laptop screen keyboard phone battery mouse printer charge app file device
My computer does not start / The laptop will not turn on / Nothing happens when I press the power button / The PC stays dark
My computer is slow / The laptop takes for ever / How do I make my PC faster? / Everything hangs on my machine
The battery is empty / My phone needs charging / I have no power left / Plug in the charger
The screen is broken / My display has a crack / The glass of my phone is shattered / I dropped my phone
The printer does not print / Paper is stuck in the printer / No page comes out / How do I connect the printer?
How do I take a screenshot? / Save a picture of the screen / Capture what is on the display / Make an image of my desktop
How do I install an app? / Download a program / Put new software on my phone / Add an application
How do I delete a file? / Remove a document / Put it in the trash / Erase a file from the disk
I deleted a file by accident / Get back a lost document / Restore what was in the trash / My file is gone
I have a virus on my computer / Malware infected my PC / Strange windows pop up / How do I remove a virus?
Update the software / Install the newest version / There is an upgrade / Get the latest release
The keyboard does not work / Some keys are stuck / I cannot type / Letters do not appear when I press
I lost my phone / My mobile was stolen / Where is my phone? / Find my smartphone
Take a photo / Make a picture with the camera / Photograph this / Snap an image
My headphones do not work / There is no sound / I hear nothing from the speaker / The audio is gone

# security and privacy: secret key encrypt privacy attack hacker data protect secure certificate
How do I choose a strong password? / A password nobody can guess / Long random passphrases / Tips for safe passwords
What data do you collect? / How is my privacy protected? / What do you know about me? / Your privacy policy
What is encryption? / Make a message unreadable for strangers / Scramble data with a key / Only the receiver can read it
This email looks like a scam / Somebody tries to steal my password by mail / Phishing / A fake message from my bank
The API key is invalid / My access token was rejected / Unauthorized, the key is wrong / The credential is not accepted
How do I create an API key? / I need a token for the interface / Generate a new access key / Where do I get a key for developers?
The key was leaked / Somebody saw my secret token / Revoke the credential / My key is public by mistake
You are not allowed to do that / Permission denied / Access forbidden / I lack the rights
The certificate has expired / The browser warns of an insecure page / Renew the TLS certificate / HTTPS does not work
Who can see my messages? / Are my chats private? / Does anybody read what I write? / Is our conversation confidential?

# cars and traffic: car drive road engine wheel fuel driver traffic truck bus parking brake
My car does not start / The engine stays silent / The vehicle will not move / I turn the key and nothing happens
I have a flat tire / There is no air in the wheel / The tyre is punctured / How do I change a wheel?
There was an accident / Two cars crashed / A collision on the road / A truck hit a bus
I am stuck in traffic / There is a jam / The cars do not move / The highway is blocked
Where can I park? / I need a parking space / Is there a garage for my car? / Leave the car somewhere
The tank is empty / I need petrol / Where is a gas station? / Fill up the car with fuel
How do I get a driving licence? / I want to learn to drive / Driving lessons / The test for new drivers
Buy an electric car / A car with a battery / Charge the vehicle at home / Cars without petrol
I bought a new car / I have a new automobile / My new vehicle is here / I got myself another car
The light is red, stop / Wait at the traffic light / Do not cross at red / Cars halt at the signal
He drives too fast / She got a ticket for speeding / Above the speed limit / Slow down on the road
The brakes make noise / My car squeals when I stop / Something is wrong with the brakes / Repair the brakes
When does the next bus come? / The bus is late / Where is the bus stop? / Which line goes downtown?

# house and repairs: house roof door window wall paint tool hammer kitchen bathroom rent furniture
The tap is dripping / Water leaks from the pipe / I need a plumber / The faucet is not tight
The toilet is blocked / The drain is clogged / Water does not run off / How do I clear the sink?
The heating does not work / It is cold in my flat / The radiator stays cold / Repair the boiler
The light does not work / The bulb is dead / There is no power in the room / I need an electrician
I lost my key / I am locked out / I cannot open my door / Call a locksmith
How do I paint a wall? / Give the room a new color / Brush and roller / The living room needs fresh paint
How do I hang a picture? / Put a nail in the wall / Drill a hole / Fix a frame on the wall
I am looking for a flat / Find an apartment / A place to live / I want to rent a home
The rent is too high / My landlord wants more money / Living here is expensive / I cannot afford my apartment
I am moving house / Help me carry boxes / We change our home / The new flat is ready
I buy a sofa / New furniture for the living room / A couch and two chairs / I need a table and a bed
The roof is leaking / Rain comes through the ceiling / There is a hole in the roof / Water drips from above
The window is broken / The pane has a crack / Someone smashed the glass / A stone flew through the window
The neighbours are loud / I cannot sleep because of the noise next door / Our neighbor makes a racket / Music from upstairs at night

# cleaning and clothes: wash clean laundry shirt shoe dress dirty soap iron trousers coat wear
How do I remove a stain? / Get red wine out of a shirt / There is a spot on my clothes / My dress is stained
Do the laundry / Wash the clothes / The washing machine is full / My shirts are dirty
Clean the kitchen / Wipe the table / The floor must be mopped / Tidy up the house
Wash the dishes / The plates are dirty / Put the cups in the dishwasher / Clean the forks and spoons
Take out the trash / The bin is full / Empty the garbage / Carry the rubbish away
What should I wear? / Choose an outfit for me / Which clothes fit the weather? / Dress for the party
These shoes are too small / My feet hurt in them / I need a bigger size / The boots do not fit
I buy a new dress / She got herself a skirt / Shopping for clothes / A fresh wardrobe
Iron the shirt / My trousers are creased / Press the clothes / Remove wrinkles from the blouse
My sweater shrank / I washed the wool too hot / The pullover is too tight now / The laundry made it smaller
Put on a warm coat / Wear a jacket and gloves / Dress warmly / A scarf against the cold

# work and office: job boss meeting office colleague salary project contract deadline employee team
I am looking for a job / I need work / Where are vacancies? / I am unemployed
How do I write an application? / A letter for a new job / My resume / Help with my CV
I have a job interview / They invited me for a talk / Tips for an interview / How do I impress the employer?
I got the job / They hired me / I have a new position / I start work on Monday
I was fired / I lost my job / My boss dismissed me / They let me go
I want to quit / I hand in my notice / How do I resign? / I leave the company
I want more money / Ask the boss for a raise / My salary is too low / Negotiate a higher wage
The meeting is at three / We meet this afternoon / The conference begins soon / Our talk is scheduled
Move the meeting / Postpone our appointment / Find another time to meet / Reschedule the call
Cancel the meeting / The appointment will not take place / We do not meet / Call off the conference
I am ill and cannot come to work / I call in sick / I stay at home today because I am unwell / I will miss work
I am on vacation / Out of office / I take a week off / I am away until Monday
The project is late / We will miss the deadline / The work is not done in time / We need more time to finish
Work from home / Remote work / My office is in my flat / I do my job online
My colleague is nice / I like my coworker / We get on well in the team / A friendly person in my office
Write an email / Draft a message / Send a letter to my client / Reply to this mail
Write a report / Summarise the results on paper / A document for the boss / Put the findings in writing

# family: mother father child baby brother sister parent wedding son daughter grandmother uncle
My mother is a teacher / My mom teaches at a school / Mum works with pupils / Her job is teaching, said the son about his mother
My brother is older than me / I have an elder brother / I am the younger sibling / My big brother
I have two sisters / There are two girls besides me / My siblings are female / Both sisters live with me
We got married / The wedding was beautiful / Bride and groom said yes / He became her husband
They got divorced / The marriage is over / The couple separated / Husband and wife went different ways
The baby is crying / The infant screams / The little one does not calm down / How do I soothe a baby?
The baby was born / She gave birth / We have a new child / The newborn is here
Children play in the park / Kids are on the playground / Boys and girls have fun outside / Youngsters run around on the grass
My son does not listen / The boy never obeys / How do I raise my child? / A stubborn child
Visit my grandparents / See grandma and grandpa / A day with my grandmother / The old people are happy that we come
Who takes care of the child? / I need a babysitter / Someone must watch the kids / Find a nanny
We have dinner with the family / The whole family eats together / Everyone sits around the table / A meal with parents and children

# time and calendar: day week month year clock date hour minute calendar tomorrow yesterday
What time is it? / Tell me the time / How late is it? / What does the clock say?
What day is it? / Which date is today? / Tell me the date / What does the calendar say?
Set an alarm / Wake me up in the morning / I have to get up early / Ring at six
Set a timer / Count down ten minutes / Tell me when the time is up / Start a countdown
Remind me / Do not let me forget / Make a note for later / I have to remember this
Add it to my calendar / Save the appointment / Put the date in my schedule / Note the event
What is on my schedule? / What are my plans today? / Show me my appointments / Do I have anything to do?
How many days are in a year? / A year has three hundred and sixty five days / The length of a year / Days from January to December
When is Christmas? / The date of Christmas / The twenty fifth of December / How long until Santa comes?
Hurry up / We are late / There is no time to lose / Be quick
Wait a moment / Be patient / Just a minute / Give me a second
The new year begins / Fireworks at midnight / The first of January / Happy new year
How many hours are in a day? / A day has twenty four hours / The length of a day / From midnight to midnight

# smart home: lamp light heating switch thermostat curtain door speaker device room
Turn on the light / Switch the lamp on / Make it bright / It is too dark in here
Turn off the light / Switch the lamp off / Make it dark / I want to sleep, lights out
Make it warmer / Turn up the heating / I am cold / Raise the temperature
Make it cooler / Turn down the heating / I am too hot / Start the air conditioning
Open the window / Let some air in / Fresh air, please / The room is stuffy
Close the door / Shut the door / Lock the entrance / The door is open
Turn on the television / Start the TV / I want to watch the news / Show me a program
Call my mother / Phone mum / Dial the number of my mom / I want to talk to my mother
Send a text message / Write to my friend / Text him that I am late / Message her

# art and colors: painting picture draw color paint museum artist brush canvas sculpture
How do I draw a face? / Learn to sketch people / A portrait with a pencil / Draw eyes, nose and mouth
Who painted this picture? / The artist of the painting / By whom is this work of art? / The name of the painter
The museum is closed / The gallery does not open today / No visitors at the exhibition / We cannot see the paintings
How do I mix green? / Blue and yellow give green / Which colors make green? / Stir two paints to get green
What is your favorite color? / Which color do you like best? / The color you love most / Do you prefer red or blue?
Draw me a picture / Make an image / Paint something / I want an illustration
She makes a sculpture / A statue of stone / The artist carves wood / A figure of clay
What is modern art? / Paintings of squares and lines / Abstract pictures / I do not understand this art
An artist paints a landscape / A picture of hills and trees / The painter works outdoors / A canvas full of fields

# games: play chess card player win dice puzzle level score board
Let us play a game / I want to play / Do you know a game? / Entertain me with a game
How do I play chess? / The rules of chess / How does the knight move? / Checkmate the king
I won the game / I beat my opponent / The victory is mine / I was the best player
Shuffle the cards / Deal the deck / Mix the playing cards / Give everyone five cards
Roll the dice / Throw the die / A number from one to six / I rolled a six
Solve the riddle / Guess the answer to the puzzle / A brain teaser / Crack the mystery
I cannot beat this level / The boss in the game is too strong / I am stuck in a video game / How do I get to the next stage?
Flip a coin / Heads or tails / Toss a coin / Let luck decide
Which video games are good? / Recommend a game for my console / Something to play on the computer / Fun titles for gamers

# sea and outdoors: beach boat wave forest hike mountain lake river camp fire swim sail
We go to the beach / A day at the seaside / Lie in the sand by the water / We swim in the ocean and get a tan
The boat sails on the sea / A ship crosses the ocean / Sailors on the waves / A vessel leaves the harbour
We hike in the mountains / A walk up the hill / Climb to the summit / A trail through the alps
We sleep in a tent / Camping in the woods / A fire and a sleeping bag / A night outdoors
I am fishing in the lake / Catch a trout / A rod and a hook / An angler by the water
A walk in the forest / We stroll among trees / Through the woods on foot / The path leads between old oaks
The waves are high / The sea is rough / A wild ocean / The water breaks on the rocks
The lighthouse shows the way / A light guides the ships / A tower by the coast shines at night / The keeper lights the lamp
The sunset is beautiful / The sun goes down in red / The evening sky glows / Dusk over the horizon
The sunrise is beautiful / The sun comes up / Dawn lights the sky / The first light of the day
How do I make a fire? / Light a campfire / Wood, paper and a match / Burn logs to get warm
Skiing in the snow / We go down the slope / A winter holiday with skis / Snow sports

# environment: climate nature pollution recycle energy forest plastic planet warming solar waste
The climate is changing / The earth gets warmer / Global warming / Temperatures rise all over the world
How do I recycle plastic? / Sort the waste / Bottles go in the yellow bin / Use materials again
The air is dirty / Pollution in the city / Smoke and exhaust fumes / Smog makes breathing hard
Energy from the sun / Solar panels on the roof / Make power from light / Photovoltaics
Energy from wind / Turbines turn in the breeze / Wind farms / Mills that make electricity
Save the forest / They cut down too many trees / The jungle is disappearing / Stop felling the rainforest
The ice is melting / Glaciers shrink / The poles lose their ice / Sea levels rise
There is plastic in the ocean / Rubbish swims in the sea / Bottles float in the waves / Turtles eat bags
Save water / Do not waste water / Take shorter showers / Close the tap
Save electricity / Use less power / My power bill is too high / Switch off devices
Species are dying out / Many animals are in danger / Protect rare animals / Tigers may vanish

# politics and law: government election law vote court judge police minister lawyer parliament
Who won the election? / The result of the vote / Which party got the most votes? / The new leader after the poll
How do I vote? / Where can I cast my ballot? / The polling station / Take part in the election
The parliament passed a law / A new act was approved / Lawmakers agreed on a bill / The rules change by vote
People protest in the street / A demonstration against the government / Crowds march with signs / Citizens demand change
I need a lawyer / Legal advice / Who can represent me in court? / An attorney for my case
The thief was caught / Police arrested the robber / The burglar is in custody / Officers took the criminal away
Somebody stole my wallet / I was robbed / A thief took my purse / My bag was stolen
Call the police / There is a burglar / I want to report a crime / Send an officer
The judge spoke the sentence / He was found guilty / The court decided / A verdict was given
The president gave a speech / The head of state spoke to the nation / The leader addressed the people / A talk by the president
The minister resigned / A politician steps down / He left the government / The secretary gave up her office
The two countries signed a treaty / An agreement between nations / They made peace / Diplomats came to terms
How do I read a contract? / I do not understand the agreement / Is this contract fair? / What did I sign?

# news and media: newspaper report headline journalist radio television article interview
What is in the news? / Tell me the headlines / What happened today? / The latest reports
I read the newspaper / A daily paper with my coffee / The journal lies on the table / She leafs through the press
The journalist asks questions / A reporter interviews a star / The press wants answers / An interview for the radio
The article is too long / Summarise this text / Give me the short version / The main points only
Is this story true? / Check the facts / Fake news / Can I trust this report?
Listen to the radio / The station plays the news / Turn on the broadcast / A voice on the air
Subscribe to a magazine / I want the weekly paper / Get the journal by post / A yearly subscription
"""

# Words that mean much the same. They are pairs of their own, and change places in SCENES.
SYNONYMS = """
big large huge enormous giant
small little tiny minute
fast quick rapid speedy swift
slow sluggish unhurried
happy glad joyful cheerful merry
sad unhappy gloomy sorrowful
angry mad furious cross
beautiful pretty lovely gorgeous
ugly hideous unsightly
clever smart intelligent bright
stupid foolish silly dumb
brave bold courageous fearless
afraid scared frightened fearful
tired sleepy exhausted weary
rich wealthy
poor needy penniless
easy simple effortless
hard difficult tough
old ancient aged
new modern recent
cold chilly icy freezing
hot boiling burning
wet damp soaked moist
quiet silent still
loud noisy deafening
clean tidy spotless
dirty filthy grubby
strange odd weird peculiar
famous well-known celebrated
important crucial essential
wrong incorrect false mistaken
right correct true accurate
car automobile vehicle
house home dwelling
street road lane
shop store
child kid youngster
boy lad
girl lass
man gentleman guy
woman lady
doctor physician medic
teacher instructor tutor
friend buddy pal mate
boss chief manager
worker employee labourer
thief robber burglar
king monarch ruler
boat ship vessel
plane airplane aircraft
bike bicycle cycle
sofa couch settee
rug carpet mat
cup mug
bag sack
gift present
picture image
film movie
song tune
story tale
job work occupation
money cash
idea thought notion
mistake error fault
problem trouble difficulty issue
answer reply response
end finish conclusion
start begin commence
stop halt cease
buy purchase
sell vend
build construct erect
destroy ruin wreck
repair fix mend
break smash shatter
help assist aid
ask question inquire
speak talk
shout yell scream
look watch see
walk stroll
run sprint dash
jump leap hop
sleep nap doze slumber
eat dine
cry weep sob
laugh giggle chuckle
throw toss hurl
cut slice chop
hide conceal
show display present
choose pick select
collect gather
delete erase remove
change alter modify
send ship dispatch
get receive obtain
give donate
keep retain
love adore
hate detest loathe
think believe
learn study
teach instruct
forget overlook
allow permit
forbid ban prohibit
win triumph
error bug defect
program application software
function routine procedure
computer machine pc
phone telephone mobile
letter message mail
photo picture snapshot
forest wood woods
hill mount
sea ocean
stone rock
path trail track
rain shower drizzle
storm tempest
autumn fall
garbage trash rubbish waste
holiday vacation
flat apartment
soccer football
lawyer attorney
petrol gas fuel
sweets candy
biscuit cookie
trousers pants
lift elevator
film picture
cab taxi
student pupil
dog hound puppy
cat kitten
rabbit bunny
pony horse
pig hog swine
cow cattle
snake serpent
bird fowl
baby infant newborn
mother mom mum
father dad daddy
grandmother grandma granny
grandfather grandpa
"""

# One table a frame: the wordings, then the fillings of their slots. A filling "a=b" has two names for one thing.
FRAMES = [
    ("capitals", "What is the capital of {country}? / {city} is the capital of {country} / [Name|Tell me] the capital city of {country} / The seat of government of {country} is {city} / Which city is the capital of {country}?",
     "country city", "France Paris; Germany Berlin; Italy Rome; Spain Madrid; Portugal Lisbon; England London; Ireland Dublin; Norway Oslo; Sweden Stockholm; Finland Helsinki; Denmark Copenhagen; Poland Warsaw; Austria Vienna; Greece Athens; Turkey Ankara; Egypt Cairo; Kenya Nairobi; Japan Tokyo; China Beijing; India Delhi; Russia Moscow; Canada Ottawa; Mexico Mexico_City; Brazil Brasilia; Argentina Buenos_Aires; Chile Santiago; Peru Lima; Cuba Havana; Australia Canberra; Switzerland Bern; Belgium Brussels; the_Netherlands Amsterdam; Hungary Budapest; Ukraine Kyiv; Morocco Rabat; Thailand Bangkok; Vietnam Hanoi; Korea Seoul"),
    ("languages", "Which language do they speak in {country}? / In {country} people speak {language} / The language of {country} / {language} is spoken in {country}",
     "country language", "France French; Germany German; Italy Italian; Spain Spanish; Portugal Portuguese; England English; Norway Norwegian; Sweden Swedish; Finland Finnish; Denmark Danish; Poland Polish; Greece Greek; Turkey Turkish; Japan Japanese; China Chinese; Russia Russian; Brazil Portuguese; Hungary Hungarian; Korea Korean; Thailand Thai"),
    ("colors", "What color is {thing}? / {thing} is {color} / The color of {thing} / Which color does {thing} have? / {color} like {thing}",
     "thing color", "grass green; the_sky blue; snow white; blood red; coal black; a_lemon yellow; a_banana yellow; an_orange orange; the_sun yellow; the_sea blue; a_tomato red; milk white; night black; a_frog green; chocolate brown; an_elephant grey; a_flamingo pink; a_strawberry red; gold yellow; a_leaf green; a_bear brown; a_plum purple; rust orange; cheese yellow"),
    ("sounds", "What sound does {animal} make? / {animal} {sound} / The noise of {animal} / [Hear|Listen], {animal} {sound}",
     "animal sound", "a_dog barks; a_cat meows; a_cow moos; a_sheep bleats; a_horse neighs; a_pig grunts; a_duck quacks; a_lion roars; a_wolf howls; a_bee buzzes; a_snake hisses; a_frog croaks; a_rooster crows; a_mouse squeaks; an_owl hoots; a_donkey brays; a_bird chirps"),
    ("opposites", "What is the opposite of {a}? / The opposite of {a} is {b} / {a} and {b} are opposites / Not {a} but {b}",
     "a b", "hot cold; big small; fast slow; up down; left right; light dark; day night; old young; rich poor; hard soft; wet dry; early late; open closed; full empty; loud quiet; happy sad; good bad; long short; near far; high low; new old; clean dirty; heavy light; strong weak; thick thin; alive dead; first last; love hate; war peace; true false"),
    ("weather in", "What is the weather in {city}? / How is the weather in {city} [today|]? / Tell me the [forecast|weather] for {city} / [Will it rain|Is it raining|Is it warm|Is it cold] in {city}? / The temperature in {city}",
     "city", "Paris; London; Berlin; Rome; Madrid; Oslo; Tokyo; Boston; Cairo; Sydney; Vienna; Dublin; Moscow; Chicago; Lima; Athens; Prague; Helsinki; New_York; Toronto"),
    ("visit", "I want to [travel|go|fly] to {city} / What can I see in {city}? / A [trip|journey|holiday] to {city} / The sights of {city} / Visit {city}",
     "city", "Paris; London; Berlin; Rome; Madrid; Oslo; Tokyo; Boston; Cairo; Sydney; Vienna; Dublin; Moscow; Chicago; Lima; Athens; Prague; Helsinki; New_York; Toronto"),
    ("flights", "[Book|Reserve|Find] a [flight|plane] from {a} to {b} / I want to fly from {a} to {b} / Plane tickets [to {b} from {a}|from {a} to {b}] / How much is a flight [to {b} from {a}|from {a} to {b}]?",
     "a b", "Paris London; Berlin Rome; Madrid Oslo; Tokyo Sydney; Boston Chicago; Cairo Athens; Vienna Prague; Dublin Lisbon; Moscow Helsinki; Lima Toronto; London New_York; Rome Tokyo; Oslo Berlin; Chicago Paris; Athens Dublin; Prague Madrid"),
    ("recipes", "How do I [make|cook|prepare] {dish}? / [A|Give me a|I need a] recipe for {dish} / What do I need for {dish}? / The ingredients of {dish} / [I want|We want|Let us] to cook {dish}",
     "dish", "spaghetti=pasta=noodles; pizza; pancakes=crepes; soup=stew; an_omelette=scrambled_eggs; a_salad; curry; rice; fried_fish; roast_chicken; a_burger; potato_salad; apple_pie=apple_cake; chocolate_cookies=chocolate_biscuits; bread=a_loaf; ice_cream; sushi; tacos; porridge=oatmeal; lasagna; a_sandwich; jam=marmalade; mashed_potatoes; fries=chips; cheese_cake; pumpkin_soup"),
    ("code", "How do I {task} in {language}? / {language} code to {task} / Write a {language} [function|program] that can {task} / [Show me how to|I want to|Help me] {task} [with|using|in] {language}",
     "task*language", "reverse_a_string=turn_a_string_around; sort_a_list=order_an_array; read_a_file=open_and_read_a_text_file; parse_JSON=decode_a_JSON_document; send_an_HTTP_request=call_a_web_service; connect_to_a_database; count_words_in_a_text=count_the_words; remove_duplicates=keep_only_unique_elements; find_the_largest_number=get_the_maximum; write_to_a_file=save_text_to_a_file; generate_a_random_number=pick_a_random_number; print_hello_world=write_hello_world; loop_over_a_list=iterate_through_an_array; handle_errors=catch_an_exception; start_a_thread=run_code_in_parallel; convert_a_string_to_a_number=parse_an_integer; join_two_strings=concatenate_text; measure_time=time_a_function | Python; Rust; JavaScript; Java; Go; C; Ruby; Swift"),
    ("definitions", "What is {thing}? / [Explain|Describe] {thing} / Tell me [about|something about|more about] {thing} / What does {thing} mean? / How does {thing} work? / I want to understand {thing}",
     "thing", "a_tunnel; a_compass; a_volcano; democracy; an_anchor; the_heart; the_brain; a_battery; a_microscope; jazz; a_haiku; a_comet; yeast; a_glacier; philosophy; grammar; a_contract; insurance; a_mortgage; an_engine; a_lens; a_virus; a_bridge; sugar; the_moon; a_tsunami; a_hurricane; the_internet; a_browser; a_cookie; a_blockchain; a_container; Linux; a_kernel; cryptography; a_checksum; statistics; a_novel; a_symphony; ballet; chess; cricket; karate; meditation; a_shark; a_whale; a_spider; a_dinosaur; a_penguin; a_bat; the_lung; the_skin; cholesterol; a_calorie; vitamin_C; an_enzyme; a_cell; an_acid; steel; concrete; glass; cotton; silk; coffee; wine; a_lighthouse; a_castle; a_king; a_market; a_tax; a_pension; a_union"),
    ("names", "My name is {name} / I am called {name} / [Call me|You may call me] {name} / I am {name} / This is {name} speaking",
     "name", "Ada; Bob; Maria; Tom; Yuki; Omar; Anna; Paul; Lucy; Peter; Sara; Max; Emma; Leo; Nina; Hugo; Ivan; Clara; Felix; Ruth"),
    ("likes", "I [like|love|enjoy] {thing} / {thing} is [great|my favorite|wonderful] / I am [a fan|fond] of {thing} / My favorite is {thing}",
     "thing", "chocolate; football=soccer; jazz_music; dogs=puppies; cats=kittens; reading=books; dancing; cheese; summer; winter; fishing; pizza; horses=ponies; skiing; flowers; films=movies; chess; painting; coffee; tea; singing; cars; swimming; snow; the_sea=the_ocean"),
    ("dislikes", "I [hate|dislike] {thing} / I do not like {thing} / {thing} is [terrible|awful|horrible] / I cannot stand {thing}",
     "thing", "mondays; rain; onions; spiders; homework; traffic; noise; fish; waiting; milk; exams; cold_coffee; the_dentist; taxes; queues; flying"),
    ("where", "Where is {thing}? / I [cannot find|have lost|am looking for] {thing} / Have you seen {thing}? / {thing} is [lost|missing|gone]",
     "thing", "my_key=my_keys; my_wallet=my_purse; my_glasses=my_spectacles; my_hat=my_cap; my_umbrella; my_ring; my_book; my_ticket; my_bag; my_watch; my_coat=my_jacket; my_shoes=my_boots; my_dog=my_puppy; my_pen=my_pencil; my_charger; my_letter"),
    ("directions", "How do I get to {place}? / Where is {place}? / The way to {place} / [Show me|Take me to] {place} / Is {place} near here?",
     "place", "the_station=the_railway_station; the_hospital=the_clinic; the_post_office; the_museum=the_gallery; the_harbour=the_port; the_market; the_school; the_church=the_cathedral; the_stadium=the_arena; the_park; the_bridge; the_town_hall; the_zoo; the_pharmacy=the_drugstore; the_supermarket=the_grocery_store; the_cinema=the_movie_theater; the_beach=the_seaside; the_castle"),
    ("prices", "How much is {thing}? / What does {thing} cost? / The price of {thing} / Is {thing} expensive? / I want to buy {thing}",
     "thing", "a_car=an_automobile; a_bicycle=a_bike; a_house=a_home; a_phone=a_mobile; a_computer=a_laptop; a_ticket; a_loaf_of_bread; a_bottle_of_milk; a_watch; a_ring; a_sofa=a_couch; a_dress; a_guitar; a_television=a_TV; a_camera; a_table; a_bed; a_piano; a_pair_of_shoes; a_cup_of_coffee"),
    ("reminders", "Remind me to {task} / Do not let me forget to {task} / I [must|have to] remember to {task} / [Make a note|Note] to {task}",
     "task", "buy_milk=get_some_milk; call_my_mother=phone_mum; pay_the_rent; water_the_plants=water_the_flowers; feed_the_cat; take_my_pills=take_my_medicine; wash_the_car; answer_the_letter=reply_to_the_mail; clean_the_kitchen; book_the_hotel; send_the_report; charge_my_phone; walk_the_dog; return_the_books; bake_a_cake; fix_the_lamp=repair_the_light"),
    ("alarms", "[Set an alarm|Wake me|Wake me up] at {hour} / I have to get up at {hour} / The alarm should ring at {hour} / An alarm for {hour}",
     "hour", "five=5; six=6; seven=7; eight=8; nine=9; ten=10; noon=twelve; midnight"),
    ("days", "The [meeting|appointment] is on {day} / We [meet|talk] on {day} / {day} is the day of [the meeting|our appointment] / See you on {day}",
     "day", "Monday; Tuesday; Wednesday; Thursday; Friday; Saturday; Sunday"),
    ("translate", "[Translate|Say] {word} [in|into] {language} / What is {word} in {language}? / The {language} word for {word} / How do you say {word} in {language}?",
     "word*language", "hello; thank_you; goodbye; water; love; house; friend; bread; yes; good_morning | French; German; Spanish; Italian; Greek; Japanese; Turkish; Polish"),
    ("sums", "What is {a} plus {b}? / {a} + {b} / Add {a} and {b} / The sum of {a} and {b}",
     "a*b", "1=one; 2=two; 3=three; 4=four; 5=five; 6=six; 7=seven; 8=eight; 9=nine | 1=one; 2=two; 3=three; 4=four; 5=five; 6=six; 7=seven; 8=eight; 9=nine"),
    ("stories", "[Tell me|Write] a [short|] story about {hero} / A [tale|story] of {hero} / Once there was {hero} / Read me something about {hero}",
     "hero", "a_robot=a_machine; a_dragon; a_penguin; a_cat=a_kitten; a_lighthouse; a_princess; a_wizard=a_magician; a_pirate; a_fox; a_ghost; a_knight; a_witch; a_giant; a_mouse; a_bear; a_fairy; a_detective; an_astronaut; a_queen; a_wolf"),
    ("jobs", "A {job} {work} / What does a {job} do? / The work of a {job} / {job}: someone who {work}",
     "job work", "baker bakes_bread; farmer grows_crops; nurse cares_for_patients; pilot flies_planes; teacher teaches_pupils; painter paints_pictures; plumber repairs_pipes; gardener looks_after_plants; judge decides_in_court; tailor sews_clothes; carpenter works_with_wood; butcher sells_meat; cook prepares_meals; writer writes_books; singer sings_songs; dentist treats_teeth; driver drives_a_bus; fisherman catches_fish; soldier fights_in_a_war; scientist does_research; programmer writes_software; firefighter puts_out_fires; librarian lends_books; vet heals_animals"),
    ("parts", "{part} is part of {whole} / {whole} has {part} / Does {whole} have {part}? / {part} belongs to {whole}",
     "part whole", "a_wheel a_car; a_roof a_house; a_page a_book; a_key a_keyboard; a_wing a_bird; a_leaf a_tree; a_sleeve a_shirt; a_sail a_boat; a_string a_guitar; a_lens a_camera; a_finger a_hand; a_toe a_foot; a_tail a_dog; a_petal a_flower; a_screen a_phone; a_pedal a_bicycle; an_engine a_plane; a_drawer a_desk"),
    ("kinds", "{kind} is {of} / {kind} is a kind of {of} / Is {kind} {of}? / One sort of {of} is {kind}",
     "kind of", "an_apple a_fruit; a_carrot a_vegetable; a_rose a_flower; an_oak a_tree; a_trout a_fish; an_eagle a_bird; a_hammer a_tool; a_violin an_instrument; gold a_metal; a_shirt clothing; a_sofa furniture; tennis a_sport; chess a_game; milk a_drink; copper a_metal; a_bee an_insect; a_poodle a_dog; French a_language; a_ruby a_gem; a_bus a_vehicle; Mars a_planet; a_triangle a_shape; summer a_season; July a_month"),
    # Words that stand in no list: sentences about the same thing share it, whatever it is.
    ("unknown word", "What is {x}? / Tell me about {x} / [Explain|Describe] {x} / I want to know [more|] about {x} / {x} / How does {x} work? / Where can I find {x}? / The documentation of {x} / We use {x} every day",
     "x", "*"),
]

# Scenes: who, does what, where. Each part has several wordings.
SCENE_SUBJECTS = "a cat / a kitten; a dog / a puppy / a hound; a man / a guy / a gentleman; a woman / a lady; a child / a kid; a boy / a lad; a girl / a young girl; a baby / an infant; two men / a pair of men; some people / a group of people; a teacher / an instructor; a soldier / a warrior; a horse / a pony; a bird / a small bird; a monkey / an ape; an old man / an elderly man; a farmer / a man who farms; a doctor / a physician; a rabbit / a bunny; children / kids / boys and girls"
SCENE_ACTIONS = "is sleeping / sleeps / is taking a nap / dozes / rests; is running / runs / races / sprints; is eating / eats / has a meal / is having some food; is singing / sings a song / sings; is playing / plays / has fun; is reading a book / reads / looks at a book; is dancing / dances / moves to music; is jumping / jumps / leaps; is sitting / sits / has a seat; is walking / walks / strolls / goes on foot; is crying / cries / weeps; is laughing / laughs / giggles; is swimming / swims / takes a swim; is waiting / waits / stands around; is working / works / does a job; is drinking water / drinks / sips water; is hiding / hides / is out of sight; is looking at the stars / watches the stars / gazes at the stars; is playing a guitar / plays guitar / makes music on a guitar; is cutting an onion / slices an onion / chops an onion"
SCENE_PLACES = "on the mat / on a rug / on the carpet; in the park / in a green park; in the kitchen / in the cook's room; on the street / on the road; at the beach / by the sea / on the shore; in the forest / in the woods / among the trees; in the garden / in the yard; in the bed / under a blanket; on the sofa / on the couch; in the rain / while it rains; in the snow / on the snowy ground; in the car / in a vehicle; on a mountain / on a hill; near the river / by the stream; in the city / in town; in the school / in a classroom; at home / in the house; on a boat / on a ship; at night / in the dark; in the morning / at dawn; in the market / among the stalls; on a train / in a railway carriage"

# Words around a text, and in it, that leave its meaning as it is.
OPENERS = ["please", "hello,", "hi,", "so,", "well,", "ok,", "excuse me,", "and", "tell me,", "I wonder:", "can you say", "a question:", "it seems that", "I think", "I would like to know:", "in fact,", "we heard that", "maybe", "could you say", "once more:"]
CLOSERS = ["please", "thanks", "thank you", "today", "now", "for me", "then", "again", "any more", "as well", "since yesterday", "this afternoon", "of course", "for a long time", "you know", "I think"]
FILLERS = "really again still all very just also already now here there your our his her their this that these would should could will has been since because so than too even only".split()
LITTLE_WORDS = "the a an of in and is are was were with by on to for some from at it".split()


def parse_domains():
    """[(name, words, [wordings of a meaning])]"""
    found = []
    for line in filter(None, map(str.strip, DOMAINS.splitlines())):
        if line.startswith("#"):
            name, _, words = line[1:].partition(":")
            found.append((name.strip(), words.split(), []))
        else:
            found[-1][2].append(line.split(" / "))
    return found


def names(value):
    """The names of a filling: "a_car=an_automobile" has two."""
    return [n.replace("_", " ") for n in value.strip().split("=")]


def fillings(slots, table):
    """[{slot: names}] of a frame's table."""
    if "*" in slots:
        left, right = slots.split("*")
        ones, others = (list(map(names, half.split(";"))) for half in table.split("|"))
        return [{left: a, right: b} for a in ones for b in others]
    return [dict(zip(slots.split(), map(names, row.split()))) for row in table.split(";")]


class Corpus:
    """Meanings, and how to say them. `held_out` asks for what training never sees."""

    def __init__(self, seed):
        self.rng = random.Random(seed)
        split = random.Random(1)  # What is held out does not depend on the seed.
        self.domains = parse_domains()
        self.kept, self.held = {}, {}
        for domain, (_, _, meanings) in enumerate(self.domains):
            for place, wordings in enumerate(meanings):
                out = split.randrange(len(wordings)) if len(wordings) > 3 and split.random() < 0.3 else None
                self.kept["domain", domain, place] = [w for i, w in enumerate(wordings) if i != out]
                if out is not None:
                    self.held["domain", domain, place] = wordings[out]
        self.frames = []
        for name, wordings, slots, table in FRAMES:
            rows = [] if table == "*" else fillings(slots, table)
            out = set(split.sample(range(len(rows)), len(rows) // 8))
            self.frames.append((name, wordings.split(" / "), [r for i, r in enumerate(rows) if i not in out], [rows[i] for i in sorted(out)]))
        self.scene = [[p.strip().split(" / ") for p in part.split(";")] for part in (SCENE_SUBJECTS, SCENE_ACTIONS, SCENE_PLACES)]
        self.synonyms = [line.split() for line in SYNONYMS.strip().splitlines()]
        self.words = sorted({w.lower() for _, words, meanings in self.domains for text in [*words, *sum(meanings, [])] for w in re.findall("[A-Za-z]{4,}", text)})
        self.alike = {w: line for line in self.synonyms for w in line}
        self.held_scenes = {(s, a, p) for s in range(20) for a in range(20) for p in range(22) if (s * 7 + a * 5 + p * 3) % 11 == 0}
        self.source_names = [("domain", i) for i in range(len(self.domains))] + [("frame", i) for i in range(len(self.frames))] + [("scene",), ("synonym",), ("words",)]
        self.source_weights = [3.0] * len(self.domains) + [2.0] * len(self.frames) + [12.0, 12.0, 20.0]

    def say(self, wording, fill=None):
        """One of the texts that a wording stands for."""
        text = re.sub(r"\[([^\]]*)\]", lambda m: self.rng.choice(m[1].split("|")), wording)
        text = re.sub(r"\{(\w+)\}", lambda m: self.rng.choice(fill[m[1]]), text)
        text = re.sub(r"\s+", " ", text).strip()
        if text.endswith("?") and self.rng.random() < 0.4:
            text = text[:-1]
        elif text[-1].isalpha() and self.rng.random() < 0.5:
            text += self.rng.choice([".", ".", ".", "!"])
        return text

    def dress(self, text):
        """The same text with words around it that change nothing, and with a word for another."""
        text = " ".join(self.rng.choice(self.alike[w]) if w in self.alike and self.rng.random() < 0.1 else w for w in text.split(" "))
        if self.rng.random() < 0.25:
            words = text.split(" ")
            words.insert(self.rng.randrange(len(words)), self.rng.choice(FILLERS + LITTLE_WORDS))
            text = " ".join(words)
        if self.rng.random() < 0.15:
            text = self.rng.choice(OPENERS) + " " + text
        if self.rng.random() < 0.15:
            text = text.rstrip(".!?") + " " + self.rng.choice(CLOSERS)
        return text

    def unknown_word(self):
        syllables = ["".join(self.rng.choice(part) for part in ("b c d f g h k l m n p r s t v w z st tr pl".split(), "a e i o u ai ee".split(), ["", "", "n", "r", "x", "l"])) for _ in range(self.rng.randint(2, 4))]
        return "".join(syllables) + self.rng.choice(["", "", "", str(self.rng.randint(0, 99))])

    def jumble(self, words):
        """The words in any order, some in the plural, with little words between them: what two texts share counts, whatever it is."""
        out = []
        for word in self.rng.sample(words, len(words)):
            out += self.rng.choices(LITTLE_WORDS, k=self.rng.choice([0, 0, 1, 1, 2]))
            out.append(word + "s" if self.rng.random() < 0.1 else word)
        return " ".join(out)

    def pair(self, source):
        """(key of the meaning, one text, another text)"""
        kind = source[0]
        if kind == "domain":
            domain = source[1]
            place = self.rng.randrange(len(self.domains[domain][2]))
            key = ("domain", domain, place)
            a, b = (self.say(w) for w in self.rng.sample(self.kept[key], 2))
        elif kind == "frame":
            name, wordings, rows, _ = self.frames[source[1]]
            fill = self.rng.choice(rows) if rows else {"x": [self.unknown_word()]}
            key = ("frame", source[1], *(v[0] for v in fill.values()))
            a, b = (self.say(w, fill) for w in self.rng.sample(wordings, 2))
        elif kind == "scene":
            while (key := tuple(self.rng.randrange(len(part)) for part in self.scene)) in self.held_scenes:
                pass
            a, b = self.say_scene(key), self.say_scene(key)
            key = ("scene", *key)
        elif kind == "words":
            words = [self.unknown_word() if self.rng.random() < 0.4 else self.rng.choice(self.words) for _ in range(self.rng.randint(2, 6))]
            key, a, b = tuple(words), self.jumble(words), self.jumble(self.rng.sample(words, len(words) - len(words) // 3))
        else:
            place = self.rng.randrange(len(self.synonyms))
            key = ("synonym", place)
            a, b = self.rng.sample(self.synonyms[place], 2)
            carrier = self.rng.choice(["{}", "{}", "the {}", "{} and nothing else", "I said {}", "what does {} mean?"])
            a, b = carrier.format(a), self.rng.choice([carrier, "{}"]).format(b)
        if self.rng.random() < 0.1:
            b = " ".join(w for w in a.split() if self.rng.random() < 0.7) or a
        return key, self.dress(a), self.dress(b)

    def say_scene(self, key):
        subject, action, place = (self.rng.choice(part[i]) for part, i in zip(self.scene, key))
        text = f"{place}, {subject} {action}" if self.rng.random() < 0.25 else f"{subject} {action} {place}"
        return self.say(self.rng.choice(["the", "a"]) + text[1:] if text.startswith("a ") else text)

    def batch(self, size):
        """Pairs with different meanings: half from a few sources, so that they are hard to tell apart."""
        crowd = self.rng.choices(self.source_names, self.source_weights, k=4)
        found, tries = {}, 0
        while len(found) < size:
            tries += 1
            near = len(found) < size // 2 and tries < size
            source = self.rng.choice(crowd) if near else self.rng.choices(self.source_names, self.source_weights)[0]
            key, a, b = self.pair(source)
            found.setdefault(key, (a, b))
        return list(found.values())

    def domain_batch(self):
        """Two texts of each domain: related, though they do not mean the same."""
        pairs = []
        for domain, (_, words, meanings) in enumerate(self.domains):
            one, other = self.rng.sample(range(len(meanings)), 2)
            texts = [self.say(self.rng.choice(self.kept["domain", domain, m])) for m in (one, other)]
            if self.rng.random() < 0.3:
                texts[self.rng.randrange(2)] = " ".join(self.rng.sample(words, self.rng.randint(1, 4)))
            pairs.append(tuple(texts))
        return pairs

    def long_batch(self, size, sentences):
        """Passages of a domain: the same things said in another way and order, or one of the things alone."""
        pairs = []
        for domain in self.rng.sample(range(len(self.domains)), size):
            count = max(2, self.rng.randint(sentences // 2, sentences))
            meanings = [self.rng.randrange(len(self.domains[domain][2])) for _ in range(count)]
            a, b = ([self.say(self.rng.choice(self.kept["domain", domain, m])) for m in meanings] for _ in range(2))
            self.rng.shuffle(b)
            if count < 8 and self.rng.random() < 0.4:
                b = b[:1]
            pairs.append(tuple(" ".join(t if t[-1] in ".!?" else t + "." for t in texts) for texts in (a, b)))
        return pairs

    def texts(self, count):
        """Texts to learn the vocabulary from."""
        for _ in range(count // 2):
            source = self.rng.choices(self.source_names, self.source_weights)[0]
            if source[0] == "frame" and not self.frames[source[1]][2]:
                continue
            yield from self.pair(source)[1:]
        for _, words, _ in self.domains:
            yield " ".join(words * 20)

    # What is held out, for checking.

    def held_wordings(self):
        """[(unseen wording, its meaning's place)], [the seen wordings of each meaning]"""
        self.rng = random.Random(2)
        places = {key: i for i, key in enumerate(self.kept)}
        return [(self.say(w), places[key]) for key, w in self.held.items()], [list(map(self.say, ws)) for ws in self.kept.values()]

    def held_fillings(self):
        """The same for the frames and scenes: two wordings of fillings that training never saw."""
        self.rng = random.Random(3)
        pairs = []
        for name, wordings, _, rows in self.frames:
            for fill in rows:
                pairs.append(tuple(self.say(w, fill) for w in self.rng.sample(wordings, 2)))
        for key in self.rng.sample(sorted(self.held_scenes), 60):
            pairs.append((self.say_scene(key), self.say_scene(key)))
        return [(a, i) for i, (a, _) in enumerate(pairs)], [[b] for _, b in pairs]


# Sentences that are in no table above, about the same things: (a text, one that is near to it, one that is not).
# They guided the choice of the tables and of the settings.
NEWCOMERS = [
    ("The kitten is dozing on the carpet.", "A cat sleeps on a rug.", "The bank raised its interest rates."),
    ("My laptop will not boot any more.", "The computer does not turn on.", "She bakes fresh rolls on Sunday."),
    ("I would like to change the password of my profile.", "How can I set a new password?", "Which train goes to the coast?"),
    ("The parcel has still not been delivered.", "My package did not arrive.", "He painted the ceiling white."),
    ("Will we need umbrellas this afternoon?", "Is it going to rain today?", "How do I merge two branches?"),
    ("Shares dropped after the report.", "The stock market fell.", "The puppy chewed my shoe."),
    ("My tooth has been aching since yesterday.", "I should go to the dentist.", "The library lends books for free."),
    ("How do you turn a string around in Rust?", "Rust function that reverses a string", "How do you grow carrots?"),
    ("Our team was beaten again.", "We lost the game.", "The soup needs more pepper."),
    ("The website cannot be reached.", "Our server is offline.", "My aunt got married in May."),
    ("Could you recommend a novel?", "I am looking for a good book to read.", "There is snow on the road."),
    ("A musician is playing his guitar on stage.", "The man makes music with a guitar.", "The parliament voted on taxes."),
    ("The astronauts landed on the moon.", "A spaceship reached the lunar surface.", "I need a plumber for the sink."),
    ("Which city is the seat of the French government?", "France is governed from Paris.", "The dog hid under the bed."),
    ("I feel really down today.", "I am so sad.", "The brakes of the truck failed."),
    ("Put the dough in the oven for an hour.", "How long does bread bake?", "The lawyer spoke to the judge."),
    ("The database query takes ages.", "SQL is too slow on this table.", "We walked through the woods."),
    ("The vehicle ran out of petrol.", "My car needs fuel.", "Her choir sings on Fridays."),
    ("Please wake me at seven in the morning.", "Set an alarm for 7.", "Oil floats on water."),
    ("The glaciers are melting because it gets warmer.", "Climate change shrinks the ice.", "He scored the winning goal."),
    ("Somebody broke into our flat.", "There was a burglar in the apartment.", "The moon is far away."),
    ("My supervisor gave me a raise.", "I earn a higher salary now.", "Frogs live near ponds."),
    ("Toddlers were playing on the grass.", "Kids have fun in the park.", "The printer is out of ink."),
    ("The graphics card has too little memory for the model.", "It does not fit in the memory of my GPU.", "A choir sang in the old church."),
    ("I cannot get a connection to the wireless network.", "I have no wifi at home any more.", "The tailor shortened my trousers."),
    ("What is the price of this bike?", "How much does the bicycle cost?", "When did the empire fall?"),
    ("The infant would not stop screaming.", "A baby cries.", "The compiler prints a warning."),
    ("Our plane leaves two hours later than planned.", "The flight is delayed.", "My roses have lice."),
    ("Explain how neural networks are trained.", "How does machine learning work?", "Where can I park my van?"),
    ("There is a lot of smoke in the city air.", "Pollution from exhaust fumes", "The bride wore a long dress."),
    ("She jogs before breakfast.", "Every morning she goes for a run.", "The invoice is wrong."),
    ("He is allergic to peanuts.", "Nuts make him ill.", "The museum shows modern paintings."),
    ("I'd like to speak with a real person.", "Are you a human or a robot?", "Bake the potatoes for an hour."),
    ("The king was succeeded by his daughter.", "A queen took the throne after her father.", "Click on the button to download."),
    ("The heating in my apartment is broken.", "It is cold in the flat because the radiator fails.", "Which actor plays the hero?"),
    ("Many thanks for all your support!", "Thank you for helping me.", "The volcano erupted at night."),
    ("The function never returns because both threads wait.", "A deadlock blocks my program.", "Add sugar and lemon to the tea."),
    ("Citizens marched through the capital with banners.", "A protest against the government", "My cat likes tuna."),
    ("Where did I put my spectacles?", "I cannot find my glasses.", "The stock of the company rose."),
    ("The sea was wild and the waves were tall.", "A rough ocean with high waves", "Type your user name here."),
]

# The same, written after the last change to the tables and the settings.
LATECOMERS = [
    ("The little dog is running after a ball.", "A puppy chases the ball.", "The invoice must be paid by Friday."),
    ("My head aches terribly.", "I have a strong headache.", "The ship left the port."),
    ("Which way to the nearest pharmacy?", "How do I find a drugstore?", "The choir practised a new song."),
    ("I need the money back for the broken lamp.", "Refund my purchase, the product is damaged.", "Birds build nests in spring."),
    ("The lesson was explained by our instructor.", "The teacher taught the class.", "Fry the onions in butter."),
    ("How much snow will fall tonight?", "What is the forecast for snow?", "The thief was sent to prison."),
    ("My code throws an exception.", "The program stops with an error.", "Grandma knits a scarf."),
    ("They welcomed their first child.", "The couple had a baby.", "The river crosses three countries."),
    ("Please turn the lamp off.", "Switch off the light.", "Our flight goes to Madrid."),
    ("A gentleman strolls along the beach.", "A man walks by the sea.", "The stock exchange closes early."),
    ("The phone's battery is dead.", "I must charge my mobile.", "The painter mixed blue and yellow."),
    ("What do you recommend for supper?", "What should we eat for dinner?", "The rocket carries a telescope."),
    ("Add an index so that the select gets faster.", "How do I speed up a database query?", "My boots are too tight."),
    ("Our flat is too cold in winter.", "The apartment needs better heating.", "Who composed this melody?"),
    ("I want to apply for the vacancy.", "How do I write an application for a job?", "The whale dives deep."),
    ("She was very glad about the present.", "The gift made her happy.", "The motorway is closed after a crash."),
    ("Lions and tigers are wild cats.", "Big cats hunt in the savanna.", "The printer needs paper."),
    ("Is the message from the bank a scam?", "This mail may be phishing.", "He climbed the peak at dawn."),
    ("The number seven has no divisors.", "Seven is a prime number.", "My uncle sells used cars."),
    ("We pitched our tent by the lake.", "Camping near the water", "The minister gave an interview."),
    ("Solar cells produce electricity.", "Power from the sun", "The nurse changed my bandage."),
    ("What hour is it now?", "Tell me the time.", "The bakery sells rolls."),
    ("The firm announced large losses.", "The company lost a lot of money.", "Kittens like warm milk."),
    ("I keep forgetting my login.", "I cannot remember my password.", "The tallest tree fell in the storm."),
    ("The striker scored twice.", "Two goals by the same player", "Boil the noodles for ten minutes."),
    ("My daughter learns to play the violin.", "The girl takes music lessons.", "The tap in the bathroom drips."),
    ("Can I bring my bike on the train?", "Taking a bicycle by railway", "The jury found him guilty."),
    ("The text is split into tokens.", "A model reads pieces of words.", "Roses need a lot of sun."),
    ("People voted for a new president.", "The election of the head of state", "I burned my finger on the pan."),
    ("The road was closed because of fog.", "Nobody could drive in the thick mist.", "I borrowed a novel."),
]

# The same about things that the tables hardly know.
STRANGERS = [
    ("The blacksmith forged a sword.", "A blade was hammered on the anvil.", "The beekeeper harvested wax."),
    ("Sourdough needs a lively starter.", "Feed the leaven with rye every evening.", "The referee whistled for a foul."),
    ("The stapler jammed.", "My stapler is stuck.", "Comets have icy cores."),
    ("Beethoven composed nine symphonies.", "Nine symphonies were written by Beethoven.", "Geckos cling to ceilings."),
    ("The submarine dived below the frigate.", "An underwater boat passed beneath the warship.", "Potters glaze their bowls."),
    ("Quartz is a common mineral.", "Many rocks hold quartz crystals.", "The usher collected tickets."),
    ("She knitted a jumper from alpaca.", "A pullover of alpaca was knitted by her.", "Ballots are counted twice."),
    ("The archaeopteryx had feathers.", "Feathers covered the archaeopteryx.", "Fuses melt under overload."),
    ("The auditor found irregularities in the ledger.", "Irregular bookings were noticed during the audit.", "Kelp sways in the current."),
    ("Plate tectonics moves the continents.", "Continental drift is driven by tectonic plates.", "The barista frothed oat milk."),
    ("The marathon was won by a newcomer.", "An unknown runner came first in the marathon.", "Lichen grows on gravestones."),
    ("Antibiotics do not cure viral infections.", "A viral infection is not treated with antibiotics.", "The violinist tuned her strings."),
    ("The ferry to the archipelago was cancelled.", "No ferry sails to the islands today.", "Enamel protects molars."),
    ("Kubernetes restarts failed pods.", "A crashed pod is started again by Kubernetes.", "Saffron colors the risotto."),
    ("The toddler scribbled on the wallpaper.", "Crayon marks from a small child cover the wall.", "Dividends were paid in June."),
    ("Tides follow the pull of the moon.", "The moon causes high and low tide.", "The clerk stamped my permit."),
]
